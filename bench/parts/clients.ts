import { accountsApi, opaqueApi } from './world.ts';

/** Where customers come back to; nothing listens there. */
export const redirectUri = 'https://tpp.example.com/callback';
export const nativeRedirectUri = 'http://127.0.0.1/callback';

/** Every TPP: the metadata without what differs between them. */
export const tppMetadata = {
  redirect_uris: [redirectUri],
  grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
  token_endpoint_auth_method: 'tls_client_auth',
} as const;

/** The same, held to FAPI 2.0; ours completes it by `security_profile`, bare is told here. */
export const fapiMetadata = {
  ...tppMetadata,
  id_token_signed_response_alg: 'PS256',
  require_pushed_authorization_requests: true,
} as const;

/** What a TPP may request. */
export const tppPermissions = {
  [accountsApi]: ['accounts', 'payments', 'api-keys'],
  [opaqueApi]: ['statements'],
} as const;

/** The resource servers, their clients, and the public client "app", as a configuration file declares them. */
export const staticConfiguration = {
  resourceServers: [
    {
      identifier: accountsApi,
      name: 'Accounts API',
      introspectionClientId: 'accounts-rs',
      scopes: {
        accounts: { en: 'See your accounts' },
        payments: { en: 'Start payments' },
        'api-keys': { en: 'Manage keys' },
      },
    },
    {
      identifier: opaqueApi,
      name: 'Opaque API',
      accessTokenFormat: 'opaque',
      introspectionClientId: 'opaque-rs',
      scopes: { statements: { en: 'See your statements' } },
    },
  ],
  clients: [
    {
      metadata: {
        client_id: 'app',
        client_name: 'Example App',
        application_type: 'native',
        redirect_uris: [nativeRedirectUri],
        grant_types: ['authorization_code', 'refresh_token'],
        token_endpoint_auth_method: 'none',
      },
      permissions: { [accountsApi]: ['accounts'] },
    },
    ...['accounts-rs', 'opaque-rs'].map((id) => ({
      metadata: {
        client_id: id,
        grant_types: [],
        token_endpoint_auth_method: 'client_secret_basic',
      },
    })),
  ],
};
