import type Koa from 'koa';
import type { AccountConsentData } from '../../http/account-page-data.ts';
import type { Consent } from '../consent-codec.ts';
import { consentWords } from '../consent-words.ts';
import {
  clientWords,
  historyWords,
  lastUseWords,
  stateWords,
  whatInShort,
} from './dashboard-words.ts';
import { ownConsent, pathOf, wordsFor } from './parts-pages.ts';
import type { DashboardDependencies } from './parts-pages.ts';

/** One consent: what it is about, what became of it, and the ways to change and end it. */
export function createDetailPage(deps: DashboardDependencies) {
  const { door, displayName, pages } = deps;
  return async function showDetail(ctx: Koa.Context): Promise<void> {
    const signedIn = await door.enter(ctx);
    if (signedIn === undefined) return;
    const consent = await ownConsent(ctx, signedIn, deps);
    pages.show(ctx, {
      page: 'account-consent',
      data: {
        accountName: await displayName(signedIn.customerId),
        ...(await detailData(ctx, consent, deps)),
        done: doneIn(ctx, consent),
      },
      languagePath: pathOf(consent),
    });
  };
}

async function detailData(
  ctx: Koa.Context,
  consent: Consent,
  deps: DashboardDependencies,
): Promise<Omit<AccountConsentData, 'accountName' | 'done'>> {
  const words = wordsFor(ctx, deps);
  const [known, lastUses, history] = await Promise.all([
    deps.clientOf(consent.clientId),
    deps.uses.lastOf([consent.id]),
    deps.consents.history(consent.id),
  ]);
  const client = clientWords(known, words);
  const { clusters, payment, range, kind } = consentWords(consent, words);
  const isActive = consent.state === 'authorised';
  return {
    ...{ client, clientUri: known?.uri, isActive, clusters, payment, range },
    state: stateWords(consent, words),
    about: kind === 'funds-confirmation' ? whatInShort(consent, words)[0] : undefined,
    accounts: consent.accounts.map(({ name, number }) => ({ name, number })),
    canChangeAccounts: kind === 'accounts',
    lastUse: lastUseWords(lastUses.get(consent.id), words),
    history: history.map((entry) => ({
      at: words.date(entry.at),
      iso: entry.at.toISOString(),
      what: historyWords(entry, client, words),
    })),
    changeUrl: isActive && kind !== 'payment' ? `${pathOf(consent)}/change` : undefined,
    withdrawUrl: isActive ? `${pathOf(consent)}/withdraw` : undefined,
  };
}

/** What the address says was done, unless the consent shows that it was not. */
function doneIn(ctx: Koa.Context, { state }: Consent): 'changed' | 'withdrawn' | undefined {
  const { done } = ctx.query;
  if (done === 'changed' && state === 'authorised') return 'changed';
  return done === 'withdrawn' && state === 'revoked' ? 'withdrawn' : undefined;
}
