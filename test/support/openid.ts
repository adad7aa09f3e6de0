import * as openid from 'openid-client';
import type { IssuedCertificate } from '../../src/development/certificate-authority.ts';
import type { AuthorizationServer } from './server.ts';

/** openid-client configured for one of the test clients by discovery. */
export function discover(
  server: Pick<AuthorizationServer, 'issuer' | 'fetch'>,
  client: { id: string; authentication: openid.ClientAuth; certificate?: IssuedCertificate },
): Promise<openid.Configuration> {
  return openid.discovery(
    new URL(server.issuer),
    client.id,
    { use_mtls_endpoint_aliases: client.certificate !== undefined },
    client.authentication,
    { [openid.customFetch]: server.fetch(client.certificate) as openid.CustomFetch },
  );
}

/** openid-client as the client "tpp" with its certificate. */
export function discoverTpp(server: AuthorizationServer): Promise<openid.Configuration> {
  return discover(server, {
    id: 'tpp',
    authentication: openid.TlsClientAuth(),
    certificate: server.tpp,
  });
}

/** An authorization request with fresh PKCE, state and nonce. */
export async function authorizationRequest(
  configuration: openid.Configuration,
  parameters: Record<string, string>,
) {
  const codeVerifier = openid.randomPKCECodeVerifier();
  const state = openid.randomState();
  const nonce = openid.randomNonce();
  const isOpenid = (parameters['scope'] ?? '').split(' ').includes('openid');
  const url = openid.buildAuthorizationUrl(configuration, {
    code_challenge: await openid.calculatePKCECodeChallenge(codeVerifier),
    code_challenge_method: 'S256',
    state,
    // oidc-provider refuses it without openid: there would be no ID token to carry it.
    ...(isOpenid ? { nonce } : {}),
    ...parameters,
  });
  const checks = {
    pkceCodeVerifier: codeVerifier,
    expectedState: state,
    ...(isOpenid ? { expectedNonce: nonce } : {}),
    idTokenExpected: isOpenid,
  };
  return { url: url.href, codeVerifier, state, nonce, checks };
}
