import { createHash } from 'node:crypto';
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose';
import type { JSONWebKeySet } from 'jose';
import * as openid from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createCustomerAgent } from '../support/customer-agent.ts';
import {
  authorize,
  callbacks,
  discoverWeb,
  obtainTokens,
  openAuthorization,
  userinfo,
} from '../support/journey.ts';
import { authorizationRequest, discover } from '../support/openid.ts';
import { accountsApi, startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

const algorithms = ['PS256', 'ES256', 'EdDSA'] as const;

const clients = algorithms.map((algorithm) => ({
  metadata: {
    client_id: `wants-${algorithm}`,
    redirect_uris: ['https://a.example.com/callback'],
    grant_types: ['authorization_code'],
    token_endpoint_auth_method: 'none',
    id_token_signed_response_alg: algorithm,
  },
  permissions: { [accountsApi]: ['accounts'] },
}));

const demanding = {
  metadata: {
    client_id: 'demanding',
    redirect_uris: ['https://a.example.com/callback'],
    grant_types: ['authorization_code'],
    token_endpoint_auth_method: 'none',
    require_auth_time: true,
    default_max_age: 3600,
  },
  permissions: {},
};

let server: AuthorizationServer;
let web: openid.Configuration;

beforeAll(async () => {
  server = await startAuthorizationServer({ algorithms, clients: [...clients, demanding] });
  web = await discoverWeb(server);
});

afterAll(() => server.stop());

const forWeb = { redirect_uri: callbacks.web, scope: 'openid profile email accounts' };

async function verify(token: string, audience: string) {
  const response = await server.fetch()(`${server.issuer}/jwks`);
  const keys = createLocalJWKSet((await response.json()) as JSONWebKeySet);
  return jwtVerify(token, keys, { issuer: server.issuer, audience });
}

describe('An ID token', () => {
  it('says who logged in for whom, when and how, and nothing more about them', async () => {
    const { checks, callback } = await authorize(server, web, { parameters: forWeb });
    const tokens = await openid.authorizationCodeGrant(web, callback, checks);
    const { payload, protectedHeader } = await verify(tokens.id_token ?? '', 'web');
    expect(protectedHeader).toEqual({
      alg: 'RS256',
      kid: expect.any(String) as string,
    });
    const half = createHash('sha256').update(tokens.access_token).digest().subarray(0, 16);
    const { at_hash, ...rest } = payload;
    expect([undefined, half.toString('base64url')]).toContain(at_hash);
    expect(rest).toEqual({
      iss: server.issuer,
      sub: server.customer.id,
      aud: 'web',
      nonce: checks.expectedNonce,
      acr: 'urn:countersign:acr:password',
      amr: ['pwd'],
      auth_time: expect.any(Number) as number,
      iat: expect.any(Number) as number,
      exp: Number(payload.iat) + 600,
    });
  });

  it('without a nonce in the request has none', async () => {
    const { codeVerifier, code } = await authorize(server, web, {
      parameters: { ...forWeb, nonce: '' },
    });
    const callback = new URL(`${callbacks.web}?code=${code}&iss=${server.issuer}`);
    const tokens = await openid.authorizationCodeGrant(web, callback, {
      pkceCodeVerifier: codeVerifier,
    });
    expect(decodeJwt(tokens.id_token ?? '')['nonce']).toBeUndefined();
  });

  it('carries a nonce of 64 characters and a state of 1000 comes back (FAPI 2 §5.3.2.2)', async () => {
    const [nonce, state] = ['n'.repeat(64), 's'.repeat(1000)];
    const { callback, checks } = await authorize(server, web, {
      parameters: { ...forWeb, nonce, state },
    });
    expect(callback.searchParams.get('state')).toBe(state);
    const tokens = await openid.authorizationCodeGrant(web, callback, {
      ...checks,
      expectedNonce: nonce,
      expectedState: state,
    });
    expect(decodeJwt(tokens.id_token ?? '')['nonce']).toBe(nonce);
  });

  it.each(algorithms)('is signed with %s for a client that wants it', async (algorithm) => {
    const id = `wants-${algorithm}`;
    const configuration = await discover(server, { id, authentication: openid.None() });
    const tokens = await obtainTokens(server, configuration, {
      parameters: { redirect_uri: 'https://a.example.com/callback', scope: 'openid accounts' },
    });
    expect(decodeProtectedHeader(tokens.id_token ?? '')['alg']).toBe(algorithm);
    await expect(verify(tokens.id_token ?? '', id)).resolves.toHaveProperty('payload');
    expect(decodeProtectedHeader(tokens.access_token)['alg']).toBe('RS256');
  });

  it('says when the customer logged in to a client that requires it', async () => {
    const configuration = await discover(server, {
      id: 'demanding',
      authentication: openid.None(),
    });
    const { access_token, id_token } = await obtainTokens(server, configuration, {
      parameters: { redirect_uri: 'https://a.example.com/callback', scope: 'openid' },
    });
    const { auth_time } = decodeJwt(id_token ?? '');
    expect(Math.abs(Number(auth_time) - Date.now() / 1000)).toBeLessThan(60);
    expect(access_token).not.toBe('');
  });

  it('carries what the claims parameter asks for it, userinfo all that was allowed', async () => {
    const claims = {
      id_token: { email: null, acr: { essential: true }, auth_time: { essential: true } },
      userinfo: { given_name: null },
    };
    const tokens = await obtainTokens(server, web, {
      parameters: {
        redirect_uri: callbacks.web,
        scope: 'openid accounts',
        claims: JSON.stringify(claims),
      },
    });
    const payload = decodeJwt(tokens.id_token ?? '');
    expect(payload).toMatchObject({
      email: 'casey@example.com',
      acr: 'urn:countersign:acr:password',
      auth_time: expect.any(Number) as number,
    });
    expect(payload).not.toHaveProperty('given_name');
    expect(payload).not.toHaveProperty('name');
    const opened = await userinfo(server, tokens.access_token);
    expect(opened.body).toEqual({
      sub: server.customer.id,
      given_name: 'Casey',
      email: 'casey@example.com',
    });
  });

  it('opens no claim that the consent page did not show', async () => {
    const agent = createCustomerAgent(server);
    const { username, password } = server.customer;
    const claims = '{"id_token":{"email":null},"userinfo":{"given_name":null}}';
    const { url } = await authorizationRequest(web, {
      redirect_uri: callbacks.web,
      scope: 'openid',
      claims,
    });
    const login = await agent.open(url);
    const { html } = await agent.submit(login, { username, password, action: 'login' });
    expect(html).toContain('See your email address');
    expect(html).toContain('See your name and your profile details');
    expect(html).not.toContain('See your phone number');
  });

  it.each([
    ['acr_values', { acr_values: 'urn:countersign:acr:password' }],
    ['the claims parameter', { claims: '{"id_token":{"amr":null,"acr":null}}' }],
  ])('says how the customer logged in when %s asks', async (_, more) => {
    const tokens = await obtainTokens(server, web, { parameters: { ...forWeb, ...more } });
    expect(decodeJwt(tokens.id_token ?? '')['acr']).toBe('urn:countersign:acr:password');
  });

  it('is not made up for a level that nobody can reach', async () => {
    const claims = '{"id_token":{"acr":{"essential":true,"value":"urn:example:never"}}}';
    const page = await openAuthorization(server, {
      client_id: 'web',
      redirect_uri: callbacks.web,
      response_type: 'code',
      scope: 'openid',
      prompt: 'none',
      code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeGt8NwTx1VOBkPDcqHI',
      code_challenge_method: 'S256',
      claims,
    });
    expect(new URL(page.url).searchParams.get('code')).toBeNull();
    expect(new URL(page.url).searchParams.get('error')).not.toBeNull();
  });

  it('is not issued without openid', async () => {
    const tokens = await obtainTokens(server, web, {
      parameters: { redirect_uri: callbacks.web, scope: 'accounts' },
    });
    expect(tokens.id_token).toBeUndefined();
  });
});
