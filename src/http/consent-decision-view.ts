import type { ConsentDecisionData } from './page-data.ts';
import type { PageView, ViewScope } from './page-view.ts';
import { formTarget, linkable } from './safe-url.ts';

const decisionKeys: Readonly<Partial<Record<string, 'share' | 'pay' | 'funds'>>> = {
  accounts: 'share',
  payment: 'pay',
  'funds-confirmation': 'funds',
};

/** The page on which a customer decides about a consent object. */
export function consentDecisionView(data: ConsentDecisionData, { text }: ViewScope): PageView {
  const { kind, clientName: client, clientUri, redirectUri, payment } = data;
  const key = decisionKeys[kind] ?? 'share';
  const choice = data.choice === 'one' ? 'one' : 'several';
  const values = { client, amount: payment?.amount ?? '', payee: payment?.payee ?? '' };
  const message = data.problem === undefined ? undefined : text(`decision.${choice}.missing`);
  return {
    ...data,
    title: text(`decision.${key}.title`, values),
    lead: text(data.isRenewal ? 'decision.renewal' : `decision.${key}.lead`, values),
    question: text(`decision.${key}.accounts`),
    allow: text(`decision.${key}.allow`, values),
    deny: text(`decision.${key}.deny`),
    action: formTarget(data.action),
    client,
    website: websiteOf(clientUri),
    redirectHost: hostOf(redirectUri),
    problems: message === undefined ? [] : [{ field: 'account-0', message }],
  };
}

function websiteOf(clientUri: string | undefined): { url: string; host: string } | undefined {
  const website = linkable(clientUri);
  if (website === undefined || !/^https?:/i.test(website)) return undefined;
  return { url: website, host: new URL(website).host };
}

/** Where the customer goes after the choice: a host, or an app's scheme. */
function hostOf(redirectUri: string): string {
  const url = URL.parse(redirectUri);
  if (url === null) return redirectUri;
  return url.host === '' ? url.protocol.replace(/:$/, '') : url.host;
}
