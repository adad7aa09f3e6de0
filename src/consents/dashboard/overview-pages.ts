import type Koa from 'koa';
import { pageNumber } from '../../http/account-door.ts';
import type { ConsentRowData } from '../../http/account-page-data.ts';
import type { Consent } from '../consent-codec.ts';
import type { Words } from '../consent-words.ts';
import { appRows } from './app-pages.ts';
import { clientWords, lastUseWords, stateWords, whatInShort } from './dashboard-words.ts';
import { consentsPath, pathOf, wordsFor } from './parts-pages.ts';
import type { DashboardDependencies } from './parts-pages.ts';

/** All consents of the customer who is signed in, a page at a time, and on the first who else has access. */
export function createOverviewPage(deps: DashboardDependencies) {
  const { door, ofCustomer, displayName, pages } = deps;
  return async function showOverview(ctx: Koa.Context): Promise<void> {
    const page = pageNumber(ctx);
    const signedIn = await door.enter(ctx);
    if (signedIn === undefined) return;
    const { customerId } = signedIn;
    const { consents, hasMore } = await ofCustomer.pageOf(customerId, page);
    pages.show(ctx, {
      page: 'account-consents',
      data: {
        accountName: await displayName(customerId),
        consents: await rowsOf(consents, wordsFor(ctx, deps), deps),
        apps: page === 1 ? await appRows(ctx, customerId, deps) : [],
        done: ctx.query['done'] === 'app-ended' ? 'app-ended' : undefined,
        ...{ page, hasMore },
      },
      languagePath: page === 1 ? consentsPath : `${consentsPath}?page=${String(page)}`,
    });
  };
}

async function rowsOf(
  consents: readonly Consent[],
  words: Words & { day(date: Date): string },
  { uses, clientOf }: DashboardDependencies,
): Promise<ConsentRowData[]> {
  const lastUses = await uses.lastOf(consents.map(({ id }) => id));
  const clientIds = [...new Set(consents.map(({ clientId }) => clientId))];
  const clients = new Map(
    await Promise.all(clientIds.map(async (id) => [id, await clientOf(id)] as const)),
  );
  return consents.map((consent) => ({
    url: pathOf(consent),
    client: clientWords(clients.get(consent.clientId), words),
    isActive: consent.state === 'authorised',
    state: stateWords(consent, words),
    what: whatInShort(consent, words),
    accounts: consent.accounts.map(({ name, number }) => `${name} ${number}`),
    since: words.day(consent.createdAt),
    lastUse: lastUseWords(lastUses.get(consent.id), words),
  }));
}
