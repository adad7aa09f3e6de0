import * as openid from 'openid-client';
import { Agent, fetch as undiciFetch } from 'undici';

/** A third party as the bank registered it. */
export interface Registration {
  issuer: string;
  clientId: string;
  redirectUri: string;
  /** `fetch` that presents the client certificate. */
  fetch: typeof globalThis.fetch;
}

/** `fetch` that presents your certificate in the TLS handshake; all PEM. `ca` only where a test bank has its own. */
export function fetchWith(certificate: { cert: string; key: string; ca?: string }) {
  const dispatcher = new Agent({ connect: certificate });
  return ((url: string, init: object = {}) =>
    undiciFetch(url, { ...init, dispatcher })) as unknown as typeof fetch;
}

/** Reads the server's metadata; with a certificate everything goes to its `mtls_endpoint_aliases`. */
export function connect({ issuer, clientId, fetch }: Registration): Promise<openid.Configuration> {
  return openid.discovery(
    new URL(issuer),
    clientId,
    { use_mtls_endpoint_aliases: true },
    openid.TlsClientAuth(),
    { [openid.customFetch]: fetch as openid.CustomFetch },
  );
}

/** A token for yourself: no customer takes part. */
export function clientCredentials(
  server: openid.Configuration,
  access: { resource: string; scope: string },
) {
  return openid.clientCredentialsGrant(server, access);
}

/** Where to send the customer's browser, and what to keep in their session until they come back. */
export async function beginAuthorization(
  server: openid.Configuration,
  access: { redirectUri: string; resource: string; scope: string },
) {
  const pkceCodeVerifier = openid.randomPKCECodeVerifier();
  const expectedState = openid.randomState();
  const expectedNonce = openid.randomNonce();
  const url = openid.buildAuthorizationUrl(server, {
    redirect_uri: access.redirectUri,
    resource: access.resource,
    scope: access.scope,
    code_challenge: await openid.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
    state: expectedState,
    nonce: expectedNonce,
  });
  return { url, checks: { pkceCodeVerifier, expectedState, expectedNonce } };
}

/** The customer is back at `callback`: checks `state` and `iss`, and exchanges the code. */
export function finishAuthorization(
  server: openid.Configuration,
  callback: URL,
  checks: openid.AuthorizationCodeGrantChecks,
) {
  return openid.authorizationCodeGrant(server, callback, checks);
}

/** A new access token; keep using the same refresh token. */
export function refresh(server: openid.Configuration, refreshToken: string) {
  return openid.refreshTokenGrant(server, refreshToken);
}

/** The customer no longer wants you. With a refresh token the whole permission ends, with an access token only that one. */
export function revoke(server: openid.Configuration, token: string) {
  return openid.tokenRevocation(server, token);
}
