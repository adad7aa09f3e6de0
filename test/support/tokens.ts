import * as openid from 'openid-client';
import { createCustomerAgent } from './customer-agent.ts';
import { authorizationRequest, discover, discoverTpp } from './openid.ts';
import { basic, post } from './protocol.ts';
import type { Answer } from './protocol.ts';
import { accountsApi, opaqueApi } from './server.ts';
import type { AuthorizationServer } from './server.ts';

/** The clients that can get tokens for a customer. */
export type CustomersClient = 'tpp' | 'web' | 'app';

const redirectUris = {
  tpp: 'https://tpp.example.com/callback',
  web: 'https://web.example.com/callback',
  app: 'com.example.app:/callback',
} as const;

/** openid-client as one of the test clients. */
export function clientOf(
  server: AuthorizationServer,
  id: CustomersClient,
): Promise<openid.Configuration> {
  if (id === 'tpp') return discoverTpp(server);
  const { web } = server.secrets;
  const authentication = id === 'web' ? openid.ClientSecretBasic(web) : openid.None();
  return discover(server, { id, authentication });
}

/** Tokens for the customer, who logs in and consents. */
export async function customerTokens(
  server: AuthorizationServer,
  id: CustomersClient,
  parameters: { resource: string; scope: string },
) {
  const configuration = await clientOf(server, id);
  const request = await authorizationRequest(configuration, {
    redirect_uri: redirectUris[id],
    ...parameters,
  });
  const callback = await createCustomerAgent(server).authorize(request.url);
  const tokens = await openid.authorizationCodeGrant(configuration, callback, request.checks);
  const { access_token: accessToken, refresh_token: refreshToken = '', id_token: idToken } = tokens;
  return { configuration, accessToken, refreshToken, idToken: idToken ?? '' };
}

/** A JWT and an opaque access token of a client's own. */
export async function machineTokens(server: AuthorizationServer, id: 'tpp' | 'web') {
  const configuration = await clientOf(server, id);
  const jwt = await openid.clientCredentialsGrant(configuration, { resource: accountsApi });
  const opaque = await openid.clientCredentialsGrant(configuration, { resource: opaqueApi });
  return { configuration, jwt: jwt.access_token, opaque: opaque.access_token };
}

/** What the introspection endpoint of `at` (this server unless said) tells a resource server's client. */
export function introspect(
  server: AuthorizationServer,
  token: string,
  {
    as = 'accounts-rs',
    at = server,
  }: { as?: 'accounts-rs' | 'opaque-rs' | 'web'; at?: AuthorizationServer } = {},
): Promise<Answer> {
  return post(at.fetch(), `${server.issuer}/introspect`, {
    form: { token },
    headers: basic(as, server.secrets[as]),
  });
}
