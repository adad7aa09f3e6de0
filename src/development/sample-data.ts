import { browserClientId, callbackPath } from './callback-page.ts';
import { sampleTppSubject } from './material.ts';

/** The demo resource server of examples/resource-server. */
export const sampleResource = 'https://localhost:3450';

/** The sample TPP's redirect URI; examples/ and the demo listen there. */
export const sampleTppRedirectUri = 'https://localhost:3451/callback';

/** The customer that development creates. */
export const sampleCustomer = {
  username: 'alex',
  name: 'Alex Morgan',
  given_name: 'Alex',
  family_name: 'Morgan',
  email: 'alex@example.com',
  email_verified: true,
};

/** All customers that development creates; one password for all of them. */
export const sampleCustomers = [
  sampleCustomer,
  {
    username: 'robin',
    name: 'Robin Okafor',
    given_name: 'Robin',
    family_name: 'Okafor',
    email: 'robin@example.com',
    email_verified: true,
  },
  {
    username: 'sasha',
    name: 'Sasha Lindqvist',
    given_name: 'Sasha',
    family_name: 'Lindqvist',
    email: 'sasha@example.com',
    email_verified: false,
  },
];

/** What clients do for themselves: docs/tour.md goes through it. */
const scopesOfClients = {
  consents: { en: 'Ask you for your consent', de: 'Sie um Ihre Einwilligung bitten' },
  'api-keys': { en: 'Manage its API keys', de: 'Die eigenen API-Schlüssel verwalten' },
  events: {
    en: 'Hear of changes to your consents',
    de: 'Von Änderungen Ihrer Einwilligungen hören',
  },
};

/**
 * Clients and the resource server that development creates, in the shape of the static configuration file; without the
 * clients that the least profile refuses.
 */
export function sampleConfiguration(
  issuer: string,
  minimumProfile: 'baseline' | 'fapi2' | 'fapi2-message-signing' = 'baseline',
) {
  const clients = {
    baseline: [sampleTpp(), browserClient(issuer), resourceServerClient()],
    fapi2: [sampleTpp(), resourceServerClient()],
    'fapi2-message-signing': [resourceServerClient()],
  };
  return {
    resourceServers: [
      {
        identifier: sampleResource,
        name: 'Accounts and payments',
        introspectionClientId: 'sample-resource-server',
        scopes: {
          accounts: {
            en: 'See your accounts, balances and transactions',
            de: 'Ihre Konten, Kontostände und Umsätze sehen',
          },
          payments: {
            en: 'Start payments that you approve one by one',
            de: 'Zahlungen auslösen, die Sie einzeln freigeben',
          },
          fundsconfirmations: {
            en: 'Ask whether an amount is available, without seeing your balance',
            de: 'Fragen, ob ein Betrag verfügbar ist, ohne Ihren Kontostand zu sehen',
          },
          ...scopesOfClients,
        },
      },
    ],
    clients: clients[minimumProfile],
  };
}

function sampleTpp() {
  return {
    metadata: {
      client_id: 'sample-tpp',
      client_name: 'Sample TPP',
      redirect_uris: [sampleTppRedirectUri],
      grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
      token_endpoint_auth_method: 'tls_client_auth',
      tls_client_auth_subject_dn: sampleTppSubject,
    },
    permissions: { [sampleResource]: ['accounts', 'payments', ...Object.keys(scopesOfClients)] },
  };
}

function browserClient(issuer: string) {
  return {
    metadata: {
      client_id: browserClientId,
      client_name: 'Sample browser app',
      redirect_uris: [issuer + callbackPath],
      post_logout_redirect_uris: [issuer + callbackPath],
      grant_types: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_method: 'none',
    },
    permissions: { [sampleResource]: ['accounts'] },
  };
}

function resourceServerClient() {
  return {
    metadata: {
      client_id: 'sample-resource-server',
      client_name: 'Sample resource server',
      grant_types: [],
      redirect_uris: [],
      token_endpoint_auth_method: 'client_secret_basic',
    },
    permissions: {},
  };
}
