import type Router from '@koa/router';
import type { AccountsOf } from '../consents/accounts.ts';
import { addDashboardRoutes } from '../consents/dashboard/dashboard-pages.ts';
import { addAccountLoginRoutes } from '../customers/account-login-pages.ts';
import { claimsOf } from '../customers/customer.ts';
import type { createLogin } from '../customers/login.ts';
import { addSessionRoutes } from '../customers/session-pages.ts';
import { createAccountDoor } from '../http/account-door.ts';
import { createAllowedApps } from '../provider/grants/allowed-apps.ts';
import { createSessions } from '../provider/pages/sessions.ts';
import type { Parts } from './parts.ts';
import { servedClients } from './served-clients.ts';
import type { AppDependencies, AppSettings } from './settings.ts';

/** What the other pages use as well. */
interface Shared {
  login: ReturnType<typeof createLogin>;
  accountsOf: AccountsOf;
  displayName: (customerId: string) => Promise<string | undefined>;
}

/** The pages of customers who are signed in: what they share, and where they are signed in. */
export function addAccountPages(
  router: Router,
  settings: AppSettings,
  parts: Parts & AppDependencies & Shared,
): void {
  const { storage, hosting, engine, clock, login, accountsOf, displayName } = parts;
  const { audit, customers, consents, consentUses, consentsOfCustomer } = storage;
  const { pages, csrf } = hosting;
  const { issuer } = settings;
  const sessions = createSessions({
    provider: () => engine.current(),
    store: storage.sessions,
    customers: {
      async claimsOf(id) {
        const customer = await customers.find(id);
        return customer?.status === 'active' ? claimsOf(customer) : undefined;
      },
    },
    sessionSeconds: settings.lifetimes.session,
    ...{ audit, clock },
  });
  const door = createAccountDoor({ issuer, csrf, clock, limits: settings.account, sessions });
  const clients = servedClients(settings, storage);

  addAccountLoginRoutes(router, {
    ...{ issuer, login, sessions, door, pages, csrf, audit },
    usernameOf: async (id) => (await customers.find(id))?.profile.username,
  });
  addSessionRoutes(router, { door, sessions, displayName, pages, audit });
  addDashboardRoutes(router, {
    ...{ door, consents, accountsOf, displayName, pages, audit, clock },
    ...{ ofCustomer: consentsOfCustomer, uses: consentUses, bank: settings.brand.name },
    apps: createAllowedApps({ ...storage, store: storage.scopeGrants, clock }),
    async clientOf(id) {
      const metadata = await clients.metadataOf(id);
      return metadata && { name: metadata.client_name ?? id, uri: metadata.client_uri };
    },
  });
}
