import type Koa from 'koa';
import type { AppRowData } from '../../http/account-page-data.ts';
import { scopeSentence } from '../consent-words.ts';
import { clientWords } from './dashboard-words.ts';
import { consentsPath, goTo, wordsFor } from './parts-pages.ts';
import type { DashboardDependencies } from './parts-pages.ts';

const appsPath = '/account/apps';

/** Where the access of the client with this reference can be ended. */
export const appEndPath = `${appsPath}/:reference/end`;

/** The clients with such access as the overview has them. */
export async function appRows(
  ctx: Koa.Context,
  customerId: string,
  deps: DashboardDependencies,
): Promise<AppRowData[]> {
  const words = wordsFor(ctx, deps);
  const apps = await deps.apps.listOf(customerId);
  return Promise.all(
    apps.map(async ({ reference, clientId, access, since, until }) => ({
      client: clientWords(await deps.clientOf(clientId), words),
      claims: access.openidScopes,
      permissions: access.resources.flatMap(({ scopes }) =>
        scopes.map((scope) => scopeSentence(scope, words)),
      ),
      ...{ since: words.day(since), until: words.date(until) },
      endUrl: endPathOf(reference),
    })),
  );
}

/** Asks once whether to end a client's access, and ends it with every code and token. */
export function createAppPages(deps: DashboardDependencies) {
  const { door, displayName, pages, apps, audit } = deps;
  return {
    async show(ctx: Koa.Context): Promise<void> {
      const signedIn = await door.enter(ctx);
      if (signedIn === undefined) return;
      const { customerId } = signedIn;
      const reference = referenceIn(ctx);
      const app = (await apps.listOf(customerId)).find((one) => one.reference === reference);
      // Ended meanwhile, somebody else's, or none: there is nothing to end.
      if (app === undefined) {
        goTo(ctx, consentsPath);
        return;
      }
      const client = clientWords(await deps.clientOf(app.clientId), wordsFor(ctx, deps));
      const path = endPathOf(reference);
      pages.show(ctx, {
        page: 'account-confirm',
        data: {
          accountName: await displayName(customerId),
          ...{ kind: 'end-app', client, action: path, backUrl: consentsPath },
          csrfToken: door.token(signedIn),
        },
        languagePath: path,
      });
    },

    /** Who presses twice, or comes late, finds it ended: that is what they wanted. */
    async submit(ctx: Koa.Context): Promise<void> {
      const received = await door.receive(ctx, { back: ctx.path });
      if (received === undefined) return;
      const { customerId } = received.signedIn;
      const ended = await apps.end(customerId, referenceIn(ctx));
      if (ended !== undefined) {
        const { clientId, count } = ended;
        audit.record({
          ...{ type: 'grant.revoked', outcome: 'success', clientId, customerId },
          actor: { type: 'customer', id: customerId },
          detail: { by: 'customer', grants: count },
        });
      }
      goTo(ctx, `${consentsPath}?done=app-ended`);
    },
  };
}

function endPathOf(reference: string): string {
  return appEndPath.replace(':reference', reference);
}

function referenceIn(ctx: Koa.Context): string {
  return (ctx['params'] as { reference: string }).reference;
}
