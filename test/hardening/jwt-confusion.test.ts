import { decodeJwt } from 'jose';
import type * as openid from 'openid-client';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { issuedBy } from '../support/attack.ts';
import { createCustomerAgent } from '../support/customer-agent.ts';
import { forgeries, signedWith } from '../support/forged-jwt.ts';
import type { TrustedKey } from '../support/forged-jwt.ts';
import {
  callbacks,
  discoverWeb,
  introspect,
  obtainTokens,
  postForm,
  userinfo,
} from '../support/journey.ts';
import { startLure } from '../support/lure.ts';
import type { Lure } from '../support/lure.ts';
import { authorizationRequest } from '../support/openid.ts';
import { asserted } from '../support/protocol.ts';
import { startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

let attacker: Lure;
let lure = '';
let server: AuthorizationServer;
let web: openid.Configuration;
let ours: TrustedKey;

beforeAll(async () => {
  attacker = await startLure();
  lure = attacker.url;
  server = await startAuthorizationServer({ environment: attacker.environment });
  web = await discoverWeb(server);
  ours = { jwk: server.material.signingKeys[0] as TrustedKey['jwk'], alg: 'RS256' };
});

afterEach(() => {
  // Whatever a header says: its address was not asked for a key.
  if (attacker.visits() > 0) throw new Error('the server went where a header led it');
});

afterAll(async () => {
  await server.stop();
  await attacker.close();
});

const forWeb = { redirect_uri: callbacks.web, scope: 'openid accounts' };

describe('An access token', () => {
  it('that is forged is not active, opens nothing and revokes nothing', async () => {
    const tokens = await obtainTokens(server, web, { parameters: forWeb });
    const claim = { header: { typ: 'at+jwt' }, payload: decodeJwt(tokens.access_token) };
    for (const [name, jwt] of Object.entries(forgeries(ours, claim, lure))) {
      expect(await introspect(server, jwt), `for ${name}`).toEqual({ active: false });
      const read = await userinfo(server, jwt.replace(/[^\x21-\x7e]/g, ''));
      expect([400, 401], `${name}: ${JSON.stringify(read.body)}`).toContain(read.status);
      expect(read.body, `for ${name}`).not.toHaveProperty('sub');
      const basic = ['web', server.secrets.web] as const;
      const revoked = await postForm(server, '/revoke', { parameters: { token: jwt }, basic });
      expect([200, 400], `for ${name}`).toContain(revoked.status);
    }
    expect(await introspect(server, tokens.access_token)).toMatchObject({ active: true });
  });

  it('is nothing else that we sign: not an ID token, a logout token or one of no type', async () => {
    const tokens = await obtainTokens(server, web, { parameters: forWeb });
    const payload = decodeJwt(tokens.access_token);
    const types = [
      undefined,
      '',
      'JWT',
      'jwt',
      'logout+jwt',
      'token-introspection+jwt',
      'at+jwtx',
      5,
    ];
    const other = types.map((typ) => signedWith(ours, { header: { typ }, payload }));
    for (const jwt of [tokens.id_token ?? '', ...other]) {
      expect(await introspect(server, jwt)).toEqual({ active: false });
      expect((await userinfo(server, jwt)).status).toBe(401);
    }
    const right = signedWith(ours, { header: { typ: 'at+jwt' }, payload });
    expect(await introspect(server, right)).toMatchObject({ active: true });
  });

  it.each([
    ['iss', 'https://evil.example'],
    ['exp', 1],
    ['exp', '9999999999'],
    ['nbf', 9_999_999_999],
    ['jti', undefined],
    ['jti', 5],
    ['grant_id', 'unknown'],
    ['grant_id', 5],
    ['grant_id', ['x']],
    ['client_id', undefined],
    ['client_id', 'nobody'],
    ['client_id', ['web']],
    ['client_id', 5],
    ['aud', 'https://opaque.example.com'],
    ['aud', [{}]],
    ['aud', 5],
    ['cnf', 'x'],
    ['cnf', { 'x5t#S256': 5 }],
    ['scope', 5],
  ])('whose %s is %j is no fault of ours, even with our signature', async (name, value) => {
    const tokens = await obtainTokens(server, web, { parameters: forWeb });
    const payload = { ...decodeJwt(tokens.access_token), [name]: value };
    const jwt = signedWith(ours, { header: { typ: 'at+jwt' }, payload });
    const basic = ['accounts-rs', server.secrets['accounts-rs']] as const;
    const asked = await postForm(server, '/introspect', { parameters: { token: jwt }, basic });
    expect(asked.status).toBe(200);
    const isHarmless = name === 'cnf' || name === 'scope';
    expect(isHarmless || asked.body['active'] === false).toBe(true);
    expect((await userinfo(server, jwt)).status).toBeLessThan(500);
  });

  it('is no client assertion and no client', async () => {
    const tokens = await obtainTokens(server, web, { parameters: forWeb });
    const attack = async () => {
      for (const jwt of [tokens.access_token, tokens.id_token ?? '']) {
        for (const client_id of ['web', 'app', 'tpp', 'accounts-rs']) {
          const parameters = { grant_type: 'client_credentials', client_id, ...asserted(jwt) };
          const { status, body } = await postForm(server, '/token', { parameters });
          expect([400, 401]).toContain(status);
          expect(body['error']).toMatch(/^invalid_(?:client|request)$/);
        }
        const bearer = { authorization: `Bearer ${jwt}` };
        const parameters = { grant_type: 'client_credentials' };
        const answer = await postForm(server, '/token', { parameters, headers: bearer });
        expect([400, 401]).toContain(answer.status);
      }
    };
    expect(await issuedBy(server, attack)).toBe(0);
  });

  it('is no code, refresh token or grant of another type', async () => {
    const tokens = await obtainTokens(server, web, { parameters: forWeb });
    const basic = ['web', server.secrets.web] as const;
    const { access_token: jwt } = tokens;
    const attack = async () => {
      const forms: Record<string, string>[] = [
        { grant_type: 'refresh_token', refresh_token: jwt },
        { grant_type: 'authorization_code', code: jwt, redirect_uri: callbacks.web },
        { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion: jwt },
        { grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange', subject_token: jwt },
        { grant_type: 'password', username: 'casey', password: server.customer.password },
      ];
      for (const parameters of forms) {
        expect((await postForm(server, '/token', { parameters, basic })).status).toBe(400);
      }
    };
    expect(await issuedBy(server, attack)).toBe(0);
  });
});

describe('An ID token as a hint', () => {
  async function hint(jwt: string): Promise<{ logout: number; authorize: number; url: string }> {
    const agent = createCustomerAgent(server);
    const query = (parameters: object) => new URLSearchParams({ ...parameters }).toString();
    const post_logout_redirect_uri = 'https://web.example.com/logged-out';
    const parameters = { id_token_hint: jwt, post_logout_redirect_uri };
    const out = await agent.open(`${server.issuer}/logout?${query(parameters)}`);
    const { url } = await authorizationRequest(web, { ...forWeb, prompt: 'none' });
    const begun = await agent.open(`${url}&${query({ id_token_hint: jwt })}`);
    return { logout: out.status, authorize: begun.status, url: begun.url };
  }

  it('that is forged is refused, at the login and at the logout', async () => {
    const { id_token = '' } = await obtainTokens(server, web, { parameters: forWeb });
    const forged = forgeries(ours, { header: {}, payload: decodeJwt(id_token) }, lure);
    for (const [name, jwt] of Object.entries(forged)) {
      const { logout, authorize, url } = await hint(jwt);
      expect(logout, `for ${name}`).toBe(400);
      expect(authorize, `for ${name}`).toBeOneOf([303, 400]);
      expect(new URL(url).searchParams.get('code'), `for ${name}`).toBeNull();
    }
    expect((await hint(id_token)).logout).toBe(200);
  });

  it.each([
    ['aud', ['web']],
    ['aud', 5],
    ['aud', {}],
    ['aud', null],
    ['aud', '\0'],
    ['aud', '__proto__'],
    ['sub', 5],
    ['sub', { x: 1 }],
    ['iat', 'x'],
    ['exp', {}],
  ])('whose %s is %j is no fault of ours, signed or not', async (name, value) => {
    const { id_token = '' } = await obtainTokens(server, web, { parameters: forWeb });
    const payload = { ...decodeJwt(id_token), [name]: value };
    const forged = forgeries(ours, { header: {}, payload }, lure)['alg "none"'] ?? '';
    for (const jwt of [signedWith(ours, { header: {}, payload }), forged]) {
      const { logout, authorize } = await hint(jwt);
      expect(logout).toBeLessThan(500);
      expect(authorize).toBeLessThan(500);
    }
    expect((await hint(forged)).logout).toBe(400);
  });

  it('is not an access token', async () => {
    const { access_token } = await obtainTokens(server, web, { parameters: forWeb });
    const { logout, url } = await hint(access_token);
    expect(logout).toBe(400);
    expect(new URL(url).searchParams.get('error')).toMatch(/^(?:invalid_request|login_required)$/);
  });
});

it('A forged request object is refused and nothing in it is followed', async () => {
  const { url } = await authorizationRequest(web, forWeb);
  const payload = { client_id: 'web', redirect_uri: 'https://evil.example/', scope: 'admin' };
  const forged = forgeries(ours, { header: {}, payload }, lure);
  const refusals = [
    ['request', 'invalid_request_object'],
    ['request_uri', 'request_uri_not_supported'],
  ] as const;
  const attack = async () => {
    for (const [kind, jwt] of [...Object.entries(forged), ['a URL', lure] as const]) {
      for (const [name, error] of refusals) {
        // Bounded before anybody asks whether it is one.
        const isDeep = kind === 'deep payload' && name === 'request';
        const query = new URLSearchParams({ [name]: jwt }).toString();
        const page = await createCustomerAgent(server).open(`${url}&${query}`);
        const answer = new URL(page.url);
        expect(answer.hostname).not.toBe('evil.example');
        expect(answer.searchParams.get('error')).toBe(isDeep ? 'invalid_request' : error);
      }
    }
  };
  expect(await issuedBy(server, attack)).toBe(0);
});
