import type Koa from 'koa';
import type { AuditEntry } from '../audit/events.ts';
import type { Csrf } from '../http/csrf.ts';
import type { ConsentDecisionData } from '../http/page-data.ts';
import type { Pages } from '../http/pages.ts';
import { Problem } from '../problem.ts';
import { accountPrefix, chosenIn } from './account-fields.ts';
import { accountsToOffer, chosenAccounts } from './accounts.ts';
import type { AccountsOf } from './accounts.ts';
import type { Consent, OfferedAccount } from './consent-codec.ts';
import { detailOf } from './api/consent-details-api.ts';
import type { Recorder } from './consent-ports.ts';
import type { ConsentStore, MoveFacts } from './consent-store.ts';
import { consentWords } from './consent-words.ts';
import type { Words } from './consent-words.ts';

/** The authorization request that a consent is part of. */
export interface PendingDecision {
  uid: string;
  clientId: string;
  clientName: string;
  clientUri: string | undefined;
  redirectUri: string;
  customerId: string | undefined;
  uiLocales: string | undefined;
  switchUrl: string;
  authentication: { acr?: string | undefined; amr: readonly string[]; at: Date | undefined };
}

/** What the provider does with the decision. */
export interface DecisionInteractions {
  allowConsent(
    ctx: Koa.Context,
    authorise: () => Promise<{ type: string; [member: string]: unknown }>,
  ): Promise<void>;
  deny(ctx: Koa.Context, description: string, reject?: () => Promise<unknown>): Promise<void>;
}

interface Dependencies {
  interactions: DecisionInteractions;
  consents: Pick<ConsentStore, 'find' | 'move'>;
  accountsOf: AccountsOf;
  displayName: (customerId: string) => Promise<string | undefined>;
  /** What a client is registered as, without secrets; kept with the decision. */
  registrationOf: (clientId: string) => Promise<Readonly<Record<string, unknown>> | undefined>;
  /** The bank's name. */
  bank: string;
  pages: Pages;
  csrf: Csrf;
  audit: Recorder;
}

/** The page on which a customer decides about a consent object. */
export interface DecisionPages {
  show(ctx: Koa.Context, pending: PendingDecision, consentId: string): Promise<void>;
  submit(
    ctx: Koa.Context,
    pending: PendingDecision,
    form: { consentId: string; fields: Readonly<Record<string, string>> },
  ): Promise<void>;
}

/** Everything that a page and its answer are about. */
interface Decision {
  pending: PendingDecision;
  customerId: string;
  consent: Consent;
  offered: readonly OfferedAccount[];
}

/** Who asks, for what, which accounts, how long; a payment shows amount and payee largest. */
export function createDecisionPages(deps: Dependencies): DecisionPages {
  return {
    async show(ctx, pending, consentId) {
      const decision = await readDecision(pending, consentId, deps);
      await showPage(ctx, decision, { deps });
    },

    async submit(ctx, pending, { consentId, fields }) {
      const decision = await readDecision(pending, consentId, deps);
      switch (fields['decision']) {
        case 'allow':
          await allow(ctx, decision, { deps, fields });
          return;
        case 'deny':
          await deny(ctx, decision, deps);
          return;
        case 'switch':
          ctx.status = 303;
          ctx.redirect(pending.switchUrl);
          return;
        default:
          throw new Problem('invalid_request', { detail: 'the form has no decision' });
      }
    },
  };
}

async function readDecision(
  pending: PendingDecision,
  consentId: string,
  { consents, accountsOf }: Dependencies,
): Promise<Decision> {
  const { customerId, clientId } = pending;
  if (customerId === undefined) {
    throw new Problem('interaction_not_found', { detail: 'no customer' });
  }
  const consent = await consents.find(consentId);
  const isTheirs = consent?.clientId === clientId && isOf(consent, customerId);
  if (!isTheirs) throw new Problem('consent_not_found', { detail: consentId });
  const isOpen = consent.state === 'awaiting-authorisation' || consent.state === 'authorised';
  if (!isOpen) throw new Problem('consent_state', { detail: `the consent is ${consent.state}` });
  const offered = accountsToOffer(consent, await accountsOf(customerId));
  return { pending, customerId, consent, offered };
}

function isOf(consent: Consent, customerId: string): boolean {
  return consent.customerId === undefined || consent.customerId === customerId;
}

interface Again {
  deps: Dependencies;
  /** What was chosen, when the page is shown again. */
  chosen?: ReadonlySet<string>;
}

async function showPage(ctx: Koa.Context, decision: Decision, again: Again): Promise<void> {
  const { pages, csrf, displayName } = again.deps;
  const { pending, customerId } = decision;
  const action = `/interaction/${pending.uid}/consent`;
  pages.show(ctx, {
    page: 'consent-decision',
    data: {
      ...{ action, csrfToken: csrf.token(pending.uid) },
      accountName: await displayName(customerId),
      ...shownOf(decision, wordsFor(ctx, pending, again.deps), again.chosen),
      problem: again.chosen === undefined ? undefined : 'no_account_chosen',
    },
    ...(again.chosen === undefined ? {} : { status: 400 }),
    formActions: [pending.redirectUri],
    uiLocales: pending.uiLocales,
    languagePath: `/interaction/${pending.uid}`,
  });
}

function wordsFor(
  ctx: Koa.Context,
  { uiLocales }: PendingDecision,
  { pages, bank }: Dependencies,
): Words & { tag: string } {
  return { ...pages.localeOf(ctx, uiLocales), bank };
}

type Shown = Omit<ConsentDecisionData, 'action' | 'csrfToken' | 'accountName' | 'problem'>;

/** What the customer decides about, word by word; the history keeps its digest. */
function shownOf(
  { pending, consent, offered }: Decision,
  words: Words,
  chosen?: ReadonlySet<string>,
): Shown {
  const before = new Set(consent.accounts.map(({ id }) => id));
  return {
    clientName: pending.clientName,
    clientUri: pending.clientUri,
    redirectUri: pending.redirectUri,
    isRenewal: consent.state === 'authorised',
    ...consentWords(consent, words),
    choice: consent.type === 'accounts' ? 'several' : 'one',
    accounts: offered.map(({ id, name, number }) => ({
      ...{ field: accountPrefix + id, id, name, number },
      isChosen: (chosen ?? before).has(id),
    })),
  };
}

async function allow(
  ctx: Koa.Context,
  decision: Decision,
  { deps, fields }: { deps: Dependencies; fields: Readonly<Record<string, string>> },
): Promise<void> {
  const { consent, offered } = decision;
  const chosen = chosenIn(fields);
  const accounts = chosenAccounts(consent, offered, chosen);
  if (accounts === undefined) {
    await showPage(ctx, decision, { deps, chosen });
    return;
  }
  const { consents, interactions, audit } = deps;
  const isNew = consent.state === 'awaiting-authorisation';
  await interactions.allowConsent(ctx, async () => {
    const facts = { ...(await factsOf(ctx, decision, deps)), accounts };
    const moved = await consents.move(consent.id, isNew ? 'authorise' : 'reauthenticate', facts);
    return detailOf(moved);
  });
  const type = isNew ? 'consent.authorised' : 'consent.reauthenticated';
  audit.record(entryOf(decision, { type, outcome: 'success' }));
}

async function deny(ctx: Koa.Context, decision: Decision, deps: Dependencies): Promise<void> {
  const { consent } = decision;
  const { consents, interactions, audit } = deps;
  const isNew = consent.state === 'awaiting-authorisation';
  const reject = async () =>
    consents.move(consent.id, 'reject', {
      ...(await factsOf(ctx, decision, deps)),
      reason: 'customer',
    });
  // Whoever refuses to confirm a consent again keeps it; the dashboard ends it.
  await interactions.deny(ctx, 'the customer refused access', isNew ? reject : undefined);
  if (isNew) audit.record(entryOf(decision, { type: 'consent.rejected', outcome: 'success' }));
  audit.record(entryOf(decision, { type: 'authorization.denied', outcome: 'refused' }));
}

async function factsOf(
  ctx: Koa.Context,
  decision: Decision,
  deps: Dependencies,
): Promise<MoveFacts> {
  const { customerId, pending } = decision;
  const words = wordsFor(ctx, pending, deps);
  return {
    by: { type: 'customer', id: customerId },
    customerId,
    clientId: pending.clientId,
    authentication: pending.authentication,
    client: await deps.registrationOf(pending.clientId),
    shown: { locale: words.tag, text: JSON.stringify(shownOf(decision, words)) },
  };
}

function entryOf(
  { pending, customerId, consent }: Decision,
  what: Pick<AuditEntry, 'type' | 'outcome'>,
): AuditEntry {
  const actor = { type: 'customer', id: customerId } as const;
  const { clientId } = pending;
  return { ...what, actor, clientId, customerId, detail: { consent: consent.id } };
}
