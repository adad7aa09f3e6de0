import { decodeJwt, decodeProtectedHeader } from 'jose';
import * as openid from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createCustomerAgent } from '../support/customer-agent.ts';
import { fapiRegistration, newClientKey, redirectUriOf } from '../support/fapi.ts';
import type { ClientKey } from '../support/fapi.ts';
import { discover } from '../support/openid.ts';
import { accountsApi, startAuthorizationServer, tppSubject } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { introspect } from '../support/tokens.ts';

let server: AuthorizationServer;
let key: ClientKey;

const scope = 'openid accounts';

beforeAll(async () => {
  key = await newClientKey('PS256');
  const certificate = {
    token_endpoint_auth_method: 'tls_client_auth',
    tls_client_auth_subject_dn: tppSubject,
    dpop_bound_access_tokens: undefined,
    jwks: undefined,
  };
  server = await startAuthorizationServer({
    algorithms: ['PS256', 'ES256'],
    clients: [
      fapiRegistration('dpop', key),
      fapiRegistration('mtls', key, certificate),
      fapiRegistration('keyed', key, {
        dpop_bound_access_tokens: undefined,
        tls_client_certificate_bound_access_tokens: true,
      }),
      fapiRegistration('signing', key, {
        security_profile: 'fapi2-message-signing',
        authorization_signed_response_alg: 'ES256',
      }),
    ],
  });
});

afterAll(() => server.stop());

/** openid-client as one of the clients; `useMtls` sends everything with a certificate. */
async function configure(id: string, { useMtls = false, asserts = true } = {}) {
  const authentication = asserts
    ? openid.PrivateKeyJwt({ key: key.privateKey, kid: key.kid })
    : openid.TlsClientAuth();
  const certificate = useMtls ? { certificate: server.tpp } : {};
  return discover(server, { id, authentication, ...certificate });
}

async function parametersFor(id: string) {
  const codeVerifier = openid.randomPKCECodeVerifier();
  const state = openid.randomState();
  const nonce = openid.randomNonce();
  return {
    parameters: {
      redirect_uri: redirectUriOf(id),
      scope,
      resource: accountsApi,
      code_challenge: await openid.calculatePKCECodeChallenge(codeVerifier),
      code_challenge_method: 'S256',
      state,
      nonce,
    },
    checks: {
      pkceCodeVerifier: codeVerifier,
      expectedState: state,
      expectedNonce: nonce,
      idTokenExpected: true,
    },
  };
}

describe('The FAPI 2.0 flow by openid-client', () => {
  it('works with private_key_jwt and DPoP, up to refresh and userinfo', async () => {
    const configuration = await configure('dpop');
    const { parameters, checks } = await parametersFor('dpop');
    const DPoP = openid.getDPoPHandle(configuration, await openid.randomDPoPKeyPair('ES256'));
    const url = await openid.buildAuthorizationUrlWithPAR(configuration, parameters, { DPoP });
    expect([...url.searchParams.keys()].sort()).toEqual(['client_id', 'request_uri']);

    const callback = await createCustomerAgent(server).authorize(url.href);
    const tokens = await openid.authorizationCodeGrant(configuration, callback, checks, undefined, {
      DPoP,
    });
    expect(tokens.token_type).toBe('dpop');
    expect(decodeJwt(tokens.access_token)).toMatchObject({
      cnf: { jkt: await DPoP.calculateThumbprint() },
    });
    expect(decodeProtectedHeader(tokens.id_token ?? '').alg).toBe('PS256');

    const claims = tokens.claims();
    const read = await openid.fetchUserInfo(configuration, tokens.access_token, claims?.sub ?? '', {
      DPoP,
    });
    expect(read.sub).toBe(claims?.sub);

    const refreshed = await openid.refreshTokenGrant(
      configuration,
      tokens.refresh_token ?? '',
      undefined,
      { DPoP },
    );
    expect(refreshed.refresh_token).toBe(tokens.refresh_token);
    const { body } = await introspect(server, refreshed.access_token);
    expect(body).toMatchObject({ active: true, token_type: 'DPoP' });
  });

  it.each([
    ['mtls', false],
    ['keyed', true],
  ])('works for the client "%s", which binds its tokens to a certificate', async (id, asserts) => {
    const configuration = await configure(id, { useMtls: true, asserts });
    const { parameters, checks } = await parametersFor(id);
    const url = await openid.buildAuthorizationUrlWithPAR(configuration, parameters);
    const callback = await createCustomerAgent(server).authorize(url.href);
    const tokens = await openid.authorizationCodeGrant(configuration, callback, checks);
    expect(decodeJwt(tokens.access_token)).toMatchObject({
      cnf: { 'x5t#S256': expect.any(String) as unknown },
    });
    expect((await introspect(server, tokens.access_token)).body).toMatchObject({ active: true });
  });

  it('works with signed requests and signed responses', async () => {
    const configuration = await configure('signing');
    openid.useJwtResponseMode(configuration);
    const { parameters, checks } = await parametersFor('signing');
    const DPoP = openid.getDPoPHandle(configuration, await openid.randomDPoPKeyPair('ES256'));
    const signed = await openid.buildAuthorizationUrlWithJAR(configuration, parameters, {
      key: key.privateKey,
      kid: key.kid,
    });
    const request = signed.searchParams.get('request') ?? '';
    const url = await openid.buildAuthorizationUrlWithPAR(configuration, { request });
    const callback = await createCustomerAgent(server).authorize(url.href);
    expect([...callback.searchParams.keys()]).toEqual(['response']);
    const response = callback.searchParams.get('response') ?? '';
    expect(decodeProtectedHeader(response).alg).toBe('ES256');
    expect(decodeJwt(response)).toMatchObject({ iss: server.issuer, aud: 'signing' });
    const tokens = await openid.authorizationCodeGrant(configuration, callback, checks, undefined, {
      DPoP,
    });
    expect(tokens.token_type).toBe('dpop');
  });
});
