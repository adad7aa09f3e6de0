import { importJWK } from 'jose';
import type { CryptoKey } from 'jose';
import * as openid from 'openid-client';
import type { Registered } from './registration.ts';
import type { Software } from './software.ts';

/** What all requests to the bank need. */
export interface Bank {
  configuration: openid.Configuration;
  signingKey: openid.PrivateKey;
}

/** Reads the bank's metadata, for the client as it was registered. */
export async function connect(
  { issuer, signingKey: jwk }: Software,
  registered: Registered,
  fetch: typeof globalThis.fetch,
): Promise<Bank> {
  const signingKey = { key: (await importJWK(jwk)) as CryptoKey, kid: jwk.kid };
  const authentication =
    registered.token_endpoint_auth_method === 'private_key_jwt'
      ? openid.PrivateKeyJwt(signingKey)
      : openid.TlsClientAuth();
  const metadata = { ...registered, use_mtls_endpoint_aliases: true };
  const configuration = await openid.discovery(
    new URL(issuer),
    registered.client_id,
    metadata,
    authentication,
    { [openid.customFetch]: fetch as openid.CustomFetch },
  );
  return { configuration, signingKey };
}

/** Pushes the request (RFC 9126), signed where the profile wants it; where to send the customer, and what to keep. */
export async function pushRequest(
  { profile, redirectUri, resource, scopes }: Software,
  { configuration, signingKey }: Bank,
) {
  const pkceCodeVerifier = openid.randomPKCECodeVerifier();
  const expectedState = openid.randomState();
  const expectedNonce = openid.randomNonce();
  let parameters = new URLSearchParams({
    redirect_uri: redirectUri,
    resource,
    scope: ['openid', ...scopes].join(' '),
    code_challenge: await openid.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
    state: expectedState,
    nonce: expectedNonce,
  });
  if (profile === 'fapi2-message-signing') {
    openid.useJwtResponseMode(configuration);
    const signed = await openid.buildAuthorizationUrlWithJAR(configuration, parameters, signingKey);
    parameters = signed.searchParams;
  }
  const url = await openid.buildAuthorizationUrlWithPAR(configuration, parameters);
  return { url, checks: { pkceCodeVerifier, expectedState, expectedNonce } };
}
