import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { epochSeconds, systemClock } from '../../src/clock.ts';
import { loadConfiguration } from '../../src/config/load.ts';
import { createCustomerAgent } from '../support/customer-agent.ts';
import { codeIn, dpopProof, fapiClient, fapiRegistration, newClientKey } from '../support/fapi.ts';
import type { ClientKey, FapiClient, Variation } from '../support/fapi.ts';
import { auditOf, basic, post, rows, send } from '../support/protocol.ts';
import type { Answer } from '../support/protocol.ts';
import { accountsApi, startAuthorizationServer, tppSubject } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { introspect } from '../support/tokens.ts';

let server: AuthorizationServer;
let key: ClientKey;
/** Binds its tokens by DPoP. */
let client: FapiClient;
/** Binds them to its certificate, by which it authenticates too. */
let bound: FapiClient;
/** Its certificate is there, but its requests come without. */
let bare: FapiClient;

beforeAll(async () => {
  key = await newClientKey();
  server = await startAuthorizationServer({
    algorithms: ['PS256', 'ES256'],
    clients: [
      fapiRegistration('bank-app', key),
      fapiRegistration('bound', key, {
        token_endpoint_auth_method: 'tls_client_auth',
        tls_client_auth_subject_dn: tppSubject,
        dpop_bound_access_tokens: undefined,
      }),
      fapiRegistration('bare', key, {
        dpop_bound_access_tokens: undefined,
        tls_client_certificate_bound_access_tokens: true,
      }),
    ],
  });
  const proofKey = await newClientKey();
  client = fapiClient(server, { id: 'bank-app', key, proofKey });
  bare = fapiClient(server, { id: 'bare', key, proofKey: false });
  const means = { proofKey: false, certificate: server.tpp, asserts: false } as const;
  bound = fapiClient(server, { id: 'bound', key, ...means });
});

afterAll(() => server.stop());

const credentials = { grant_type: 'client_credentials', scope: 'accounts', resource: accountsApi };

async function expectRefused(answer: Answer, error: string, reason: RegExp): Promise<void> {
  expect([answer.status >= 400 && answer.status < 500, answer.body['error']]).toEqual([
    true,
    error,
  ]);
  expect(answer.body['access_token']).toBeUndefined();
  const events = await auditOf(server, answer);
  expect(events.map(({ outcome }) => outcome)).toContain('refused');
  expect(JSON.stringify(events)).toMatch(reason);
}

/** At PAR and at the token endpoint. */
async function bothWays(variation: Variation): Promise<Answer[]> {
  return [
    await client.push(client.parameters, variation),
    await client.token(credentials, variation),
  ];
}

async function tokens(of: FapiClient): Promise<{ access: string; refresh: string }> {
  const { status, body, text } = await of.exchange(codeIn(await of.authorize()));
  if (status !== 200) throw new Error(text);
  return { access: String(body['access_token']), refresh: String(body['refresh_token']) };
}

describe('FAPI 2.0 Security Profile 5.3.2.1', () => {
  it('5.3.2.1-1: metadata is published', async () => {
    const url = `${server.issuer}/.well-known/openid-configuration`;
    const { body } = await send(server.fetch(), url);
    expect(body).toMatchObject({
      issuer: server.issuer,
      pushed_authorization_request_endpoint: `${server.issuer}/par`,
      dpop_signing_alg_values_supported: ['PS256', 'ES256', 'EdDSA', 'Ed25519'],
      mtls_endpoint_aliases: {
        pushed_authorization_request_endpoint: `${server.mtlsOrigin}/par`,
      },
    });
  });

  it('5.3.2.1-2: the password grant is refused', async () => {
    const { username, password } = server.customer;
    const form = { grant_type: 'password', username, password, scope: 'accounts' };
    await expectRefused(await client.token(form), 'unsupported_grant_type', /grant_type/);
  });

  it('5.3.2.1-3: a client without authentication is refused', async () => {
    const [pushed, asked] = await bothWays({ assertion: false });
    for (const answer of [pushed, asked]) {
      await expectRefused(answer as Answer, 'invalid_client', /authentication method/);
    }
  });

  it('5.3.2.1-4: no access token is issued that is bound to nothing', async () => {
    const variation = { proof: false } as const;
    const code = codeIn(await client.authorize());
    await expectRefused(await client.exchange(code, variation), 'invalid_grant', /DPoP/);
    await expectRefused(await client.token(credentials, variation), 'invalid_grant', /DPoP/);
    const { refresh } = await tokens(client);
    const refreshing = { grant_type: 'refresh_token', refresh_token: refresh };
    await expectRefused(await client.token(refreshing, variation), 'invalid_grant', /DPoP/);

    const other = codeIn(await bare.authorize());
    await expectRefused(await bare.exchange(other), 'invalid_grant', /certificate/);
    await expectRefused(await bare.token(credentials), 'invalid_grant', /certificate/);
    // A proof does not stand in for the certificate.
    const proof = { proof: { key } };
    await expectRefused(await bare.token(credentials, proof), 'invalid_grant', /certificate/);
  });

  it('5.3.2.1-5: tokens are bound to a certificate (RFC 8705) or by DPoP (RFC 9449)', async () => {
    expect(decodeJwt((await tokens(client)).access)['cnf']).toEqual({
      jkt: client.proofKey.thumbprint,
    });
    expect(decodeJwt((await tokens(bound)).access)['cnf']).toEqual({
      'x5t#S256': expect.stringMatching(/^[\w-]{43}$/) as unknown,
    });
  });

  it('5.3.2.1-6: a client authenticates by key or certificate, never by a secret', async () => {
    const headers = basic('bank-app', 'anything');
    const [pushed, asked] = await bothWays({ assertion: false, headers });
    for (const answer of [pushed, asked]) {
      await expectRefused(answer as Answer, 'invalid_client', /does not match/);
    }
    expect((await client.token(credentials)).status).toBe(200);
    expect((await bound.token(credentials)).status).toBe(200);
  });

  it('5.3.2.1-7: nobody is redirected to an address that is not registered', async () => {
    const evil = { ...client.parameters, redirect_uri: 'https://evil.example/callback' };
    await expectRefused(await client.push(evil), 'invalid_request', /redirect_uri/);
    const url = new URL(await client.pushed());
    url.searchParams.set('redirect_uri', evil.redirect_uri);
    const callback = await createCustomerAgent(server).authorize(url.href);
    expect(callback.href.startsWith(client.parameters['redirect_uri'] ?? '-')).toBe(true);
    for (const request_uri of ['https://evil.example/', 'urn:ietf:params:oauth:request_uri:x']) {
      const query = { client_id: client.id, redirect_uri: evil.redirect_uri, request_uri };
      const address = `${server.issuer}/authorize?${new URLSearchParams(query).toString()}`;
      const answer = await send(server.fetch(), address);
      expect([answer.status, answer.headers.get('location')]).toEqual([400, null]);
    }
  });

  describe('5.3.2.1-8: an assertion names our issuer, as a string', () => {
    it.each([
      ['an array', () => [server.issuer]],
      ['an array with others', () => [server.issuer, `${server.issuer}/token`]],
      ['the token endpoint', () => `${server.issuer}/token`],
      ['the PAR endpoint', () => `${server.issuer}/par`],
      ['the mTLS token endpoint', () => `${server.mtlsOrigin}/token`],
      ['the mTLS host', () => server.mtlsOrigin],
      ['the issuer with a slash', () => `${server.issuer}/`],
    ])('%s is refused', async (_name, audience) => {
      for (const answer of await bothWays({ assertion: { audience: audience() } })) {
        await expectRefused(answer, 'invalid_client', /aud/);
      }
    });

    it('the issuer is accepted', async () => {
      const [pushed, asked] = await bothWays({ assertion: { audience: server.issuer } });
      expect([pushed?.status, asked?.status]).toEqual([201, 200]);
    });
  });

  it('5.3.2.1-9: refresh tokens are not rotated', async () => {
    for (const one of [client, bound]) {
      const { refresh } = await tokens(one);
      const form = { grant_type: 'refresh_token', refresh_token: refresh };
      const answers = [await one.token(form), await one.token(form)];
      expect(answers.map(({ status, body }) => [status, body['refresh_token']])).toEqual([
        [200, refresh],
        [200, refresh],
      ]);
    }
  });

  it('5.3.2.1-10: a DPoP nonce is offered, and checked when it is used', async () => {
    const { status, headers } = await client.token(credentials);
    const nonce = headers.get('dpop-nonce') ?? '';
    expect([status, nonce === '']).toEqual([200, false]);
    const again = await client.token(credentials, { proof: { nonce } });
    expect(again.status).toBe(200);
    const made = await client.token(credentials, { proof: { nonce: 'of my own' } });
    await expectRefused(made, 'use_dpop_nonce', /nonce/);
    expect(made.headers.get('dpop-nonce')).toBe(nonce);
  });

  it('5.3.2.1-11: an authorization code lives 60 seconds at most', async () => {
    await client.authorize();
    const [row] = await rows(
      server,
      `SELECT max(extract(epoch FROM expires_at - now()))::int AS seconds FROM artifacts
       WHERE kind = 'AuthorizationCode'`,
    );
    expect(row?.['seconds']).toBeGreaterThan(50);
    expect(row?.['seconds']).toBeLessThanOrEqual(60);
    const longer = loadConfiguration({ COUNTERSIGN_AUTHORIZATION_CODE_TTL: '61' });
    expect(longer.ok).toBe(false);
  });

  it('5.3.2.1-12: a code is bound to the key of a proof at PAR, or to dpop_jkt', async () => {
    const { thumbprint } = client.proofKey;
    const thief = await newClientKey();
    const ways: [Record<string, string>, Variation][] = [
      [client.parameters, { proof: {} }],
      [{ ...client.parameters, dpop_jkt: thumbprint }, { proof: false }],
    ];
    for (const [parameters, variation] of ways) {
      const agent = createCustomerAgent(server);
      const code = codeIn(await agent.authorize(await client.pushed(parameters, variation)));
      const stolen = await client.exchange(code, { proof: { key: thief } });
      await expectRefused(stolen, 'invalid_grant', /DPoP/);
      expect((await client.exchange(code)).status).toBe(200);
    }
    const both = { ...client.parameters, dpop_jkt: thief.thumbprint };
    await expectRefused(await client.push(both, { proof: {} }), 'invalid_request', /dpop_jkt/);
  });

  describe('5.3.2.1-13: clocks differ by a few seconds', () => {
    const ahead = (seconds: number) => epochSeconds(systemClock) + seconds;

    it.each([0, 5, 10])('an assertion made %i seconds ahead is accepted', async (seconds) => {
      const claims = { iat: ahead(seconds), nbf: ahead(seconds) };
      const answers = await bothWays({ assertion: { claims } });
      expect(answers.map(({ status }) => status)).toEqual([201, 200]);
    });

    it.each(['iat', 'nbf'])(
      'an assertion whose %s is 61 seconds ahead is refused',
      async (name) => {
        for (const answer of await bothWays({ assertion: { claims: { [name]: ahead(61) } } })) {
          await expectRefused(answer, 'invalid_client', /future|not active/);
        }
      },
    );

    it('a proof made 10 seconds ahead is accepted, 61 seconds ahead refused', async () => {
      const near = { proof: { claims: { iat: ahead(10) } } };
      expect((await client.token(credentials, near)).status).toBe(200);
      const nonce = (await client.token(credentials)).headers.get('dpop-nonce') ?? '';
      for (const proof of [{ claims: { iat: ahead(61) } }, { claims: { iat: ahead(61) }, nonce }]) {
        const answer = await client.token(credentials, { proof });
        await expectRefused(answer, 'invalid_dpop_proof', /future/);
      }
    });

    it('a request object made 10 seconds ahead is accepted, 61 seconds ahead refused', async () => {
      const near = await client.requestObject({ iat: ahead(10), nbf: ahead(10) });
      expect((await client.push({ request: near })).status).toBe(201);
      for (const times of [{ iat: ahead(61) }, { nbf: ahead(61), exp: ahead(120) }]) {
        const answer = await client.push({ request: await client.requestObject(times) });
        await expectRefused(answer, 'invalid_request_object', /future|not active/);
      }
    });
  });

  it('5.3.2.1-14: a token is for one resource server and what was allowed there', async () => {
    const { access } = await tokens(client);
    const { aud, scope } = decodeJwt(access);
    expect([aud, scope]).toEqual([[accountsApi, `${server.issuer}/userinfo`], 'openid accounts']);
    const own = decodeJwt(String((await client.token(credentials)).body['access_token']));
    expect([own.aud, own['scope']]).toEqual([accountsApi, 'accounts']);
    const beyond = { ...credentials, scope: 'admin' };
    await expectRefused(await client.token(beyond), 'invalid_scope', /admin/);
  });
});

describe('FAPI 2.0 Security Profile 5.3.2.3 and 5.3.4', () => {
  it('5.3.2.3: who the customer is comes in an ID token', async () => {
    const { body } = await client.exchange(codeIn(await client.authorize()));
    expect(decodeJwt(String(body['id_token']))).toMatchObject({
      iss: server.issuer,
      aud: client.id,
    });
  });

  it('5.3.4: userinfo takes the token by header only, with its proof, until it is revoked', async () => {
    const url = `${server.issuer}/userinfo`;
    const { access } = await tokens(client);
    const ask = async (options: { as?: ClientKey; path?: string; claims?: object } = {}) => {
      const proof = await dpopProof({
        key: options.as ?? client.proofKey,
        url,
        method: 'GET',
        accessToken: access,
        claims: { ...options.claims },
      });
      const headers = { authorization: `DPoP ${access}`, dpop: proof };
      return send(server.fetch(), url + (options.path ?? ''), { headers });
    };
    expect((await ask()).status).toBe(200);
    const thief = await ask({ as: await newClientKey() });
    expect([thief.status, thief.body['error']]).toEqual([401, 'invalid_token']);
    const other = await ask({ claims: { ath: 'x'.repeat(43) } });
    expect([other.status, other.body['error']]).toEqual([401, 'invalid_dpop_proof']);
    const unproven = await send(server.fetch(), url, {
      headers: { authorization: `Bearer ${access}` },
    });
    expect([unproven.status, unproven.body['error']]).toEqual([401, 'invalid_token']);
    const byQuery = await send(server.fetch(), `${url}?access_token=${access}`);
    expect(byQuery.status).toBe(400);
    const byBody = await post(server.fetch(), url, { form: { access_token: access } });
    expect(byBody.status).toBe(401);

    expect((await introspect(server, access)).body).toMatchObject({
      active: true,
      cnf: { jkt: client.proofKey.thumbprint },
    });
    expect((await client.post('/revoke', { token: access }, { proof: false })).status).toBe(200);
    const revoked = await ask();
    expect([revoked.status, revoked.body['error']]).toEqual([401, 'invalid_token']);
  });
});
