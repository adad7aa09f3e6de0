import { randomUUID } from 'node:crypto';
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { epochSeconds, systemClock } from '../../src/clock.ts';
import { createCustomerAgent } from '../support/customer-agent.ts';
import { codeIn, dpopProof, fapiClient, fapiRegistration, newClientKey } from '../support/fapi.ts';
import type { FapiClient, ProofOptions } from '../support/fapi.ts';
import { publicClient } from '../support/oauth-client.ts';
import { auditOf, basic, post, send } from '../support/protocol.ts';
import type { Answer } from '../support/protocol.ts';
import { accountsApi, startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { introspect } from '../support/tokens.ts';

let server: AuthorizationServer;
let client: FapiClient;
/** A public client that need not bind its tokens, and does. */
let app: FapiClient;

const credentials = { grant_type: 'client_credentials', scope: 'accounts', resource: accountsApi };

beforeAll(async () => {
  const key = await newClientKey();
  server = await startAuthorizationServer({
    algorithms: ['PS256'],
    clients: [
      fapiRegistration('bank-app', key),
      publicClient('spa', { [accountsApi]: ['accounts'] }),
    ],
  });
  client = fapiClient(server, { id: 'bank-app', key, proofKey: await newClientKey() });
  app = fapiClient(server, { id: 'spa', key, proofKey: await newClientKey(), asserts: false });
});

afterAll(() => server.stop());

const ask = (proof: Partial<ProofOptions> | string) => client.token(credentials, { proof });

async function expectRefused(answer: Answer, error = 'invalid_dpop_proof'): Promise<void> {
  expect([answer.status, answer.body['error'], answer.body['access_token']]).toEqual([
    400,
    error,
    undefined,
  ]);
  const [event] = await auditOf(server, answer);
  expect(event).toMatchObject({ type: 'token.refused', outcome: 'refused' });
  expect(String(event?.detail['reason']).length).toBeGreaterThan(10);
}

describe('A DPoP proof (RFC 9449 §4.3)', () => {
  it.each(['ES256', 'PS256', 'EdDSA', 'Ed25519'])('signed with %s is accepted', async (alg) => {
    const key = await newClientKey(alg);
    const { status, body } = await ask({ key });
    expect([status, body['token_type']]).toEqual([200, 'DPoP']);
    expect(decodeJwt(String(body['access_token']))['cnf']).toEqual({ jkt: key.thumbprint });
  });

  it.each<[string, () => Partial<ProofOptions>]>([
    ['another method', () => ({ claims: { htm: 'GET' } })],
    ['no method', () => ({ claims: { htm: undefined } })],
    ['another endpoint', () => ({ claims: { htu: `${server.issuer}/par` } })],
    ['another server', () => ({ claims: { htu: 'https://evil.example/token' } })],
    ['the mTLS alias', () => ({ claims: { htu: `${server.mtlsOrigin}/token` } })],
    ['no address', () => ({ claims: { htu: undefined } })],
    ['no jti', () => ({ claims: { jti: undefined } })],
    ['a jti that is no string', () => ({ claims: { jti: 1 } })],
    ['no iat', () => ({ claims: { iat: undefined } })],
    ['an iat that is no number', () => ({ claims: { iat: 'now' } })],
    ['another type', () => ({ header: { typ: 'JWT' } })],
    ['no type', () => ({ header: { typ: undefined } })],
    ['no key', () => ({ header: { jwk: undefined } })],
    ['a nonce that is no string', () => ({ claims: { nonce: 1 } })],
  ])('with %s is refused', async (_name, options) => {
    await expectRefused(await ask(options()));
  });

  it('is refused with a private key, a foreign signature, RS256, or HS256', async () => {
    const { jwk, kid } = client.proofKey;
    const other = await newClientKey();
    const url = `${server.issuer}/token`;
    await expectRefused(await ask({ header: { jwk: other.jwk } }));
    await expectRefused(await ask({ key: await newClientKey('RS256') }));
    await expectRefused(await ask({ header: { jwk: { ...jwk, d: 'AA' } } }));
    const [head = '', payload = ''] = (await dpopProof({ key: other, url })).split('.');
    await expectRefused(await ask(`${head}.${payload}.`));
    await expectRefused(await ask('nonsense'));
    const none = Buffer.from(JSON.stringify({ alg: 'none', typ: 'dpop+jwt', jwk, kid }));
    await expectRefused(await ask(`${none.toString('base64url')}.${payload}.`));
    const two = await dpopProof({ key: other, url });
    await expectRefused(await ask(`${two}, ${await dpopProof({ key: other, url })}`));
  });

  it('has an address whose query and fragment do not count, and whose letters of the host neither', async () => {
    const htu = `${server.issuer.replace('localhost', 'LOCALHOST')}/token?x=1#y`;
    expect((await ask({ claims: { htu } })).status).toBe(200);
  });

  it('is good for five minutes at most', async () => {
    const made = (ago: number) => ({ claims: { iat: epochSeconds(systemClock) - ago } });
    expect((await ask(made(280))).status).toBe(200);
    const old = await ask(made(320));
    await expectRefused(old, 'use_dpop_nonce');
    expect(old.headers.get('dpop-nonce')).not.toBeNull();
  });

  it('is good once, also on another process, and also at another endpoint of one path', async () => {
    const second = await startAuthorizationServer({ beside: server });
    try {
      const proof = await dpopProof({ key: client.proofKey, url: `${server.issuer}/token` });
      expect((await ask(proof)).status).toBe(200);
      const again = await ask(proof);
      await expectRefused(again);
      expect((await auditOf(server, again)).map(({ type }) => type)).toContain('replay.detected');
      const there = await client.token(credentials, { proof, at: second });
      expect([there.status, there.body['error']]).toEqual([400, 'invalid_dpop_proof']);
    } finally {
      await second.stop();
    }
  });

  it('may have the jti that a proof of another client has', async () => {
    const claims = { jti: randomUUID() };
    expect((await ask({ claims })).status).toBe(200);
    const code = codeIn(await app.authorize(openParameters()));
    expect((await app.exchange(code, { proof: { claims } })).status).toBe(200);
  });
});

const openParameters = () => ({ ...app.parameters, client_id: 'spa' });

describe('A DPoP nonce (RFC 9449 §8)', () => {
  it('can be demanded; then a proof without one is told which to use', async () => {
    const strict = await startAuthorizationServer({
      beside: server,
      environment: { COUNTERSIGN_DPOP_NONCE_REQUIRED: 'true' },
    });
    try {
      const first = await client.token(credentials, { at: strict });
      expect([first.status, first.body['error']]).toEqual([400, 'use_dpop_nonce']);
      const nonce = first.headers.get('dpop-nonce') ?? '';
      const second = await client.token(credentials, { at: strict, proof: { nonce } });
      expect(second.status).toBe(200);
      // Derived from a shared key: the other process knows it.
      expect((await ask({ nonce })).status).toBe(200);

      const pushed = await client.push(client.parameters, { at: strict, proof: {} });
      expect([pushed.status, pushed.body['error']]).toEqual([400, 'use_dpop_nonce']);
      expect(pushed.headers.get('dpop-nonce')).not.toBeNull();
    } finally {
      await strict.stop();
    }
  });

  it('stands in for the time of a proof', async () => {
    const nonce = (await ask({})).headers.get('dpop-nonce') ?? '';
    const claims = { iat: epochSeconds(systemClock) - 3600 };
    expect((await ask({ claims, nonce })).status).toBe(200);
  });
});

describe('A public client that uses DPoP (RFC 9700 §2.2.2)', () => {
  const tokens = async () => {
    const { status, body, text } = await app.exchange(
      codeIn(await app.authorize(openParameters())),
    );
    if (status !== 200) throw new Error(text);
    return { access: String(body['access_token']), refresh: String(body['refresh_token']) };
  };
  const refresh = (token: string, proof: Partial<ProofOptions> | false = {}) =>
    app.token({ grant_type: 'refresh_token', refresh_token: token }, { proof });

  it('has its refresh tokens bound to the key', async () => {
    const issued = await tokens();
    const stolen = await refresh(issued.refresh, { key: await newClientKey() });
    await expectRefused(stolen, 'invalid_grant');
    await expectRefused(await refresh(issued.refresh, false), 'invalid_grant');
    const { status, body } = await refresh(issued.refresh);
    expect([status, body['token_type']]).toEqual([200, 'DPoP']);
    expect(body['refresh_token']).not.toBe(issued.refresh);
  });

  it('gets a lost answer again, because its key proves who asks', async () => {
    const issued = await tokens();
    const first = await refresh(issued.refresh);
    const again = await refresh(issued.refresh);
    expect([again.status, again.body]).toEqual([200, first.body]);
    const access = String(first.body['access_token']);
    expect((await introspect(server, access)).body['active']).toBe(true);

    const thief = await refresh(issued.refresh, { key: await newClientKey() });
    expect([thief.status, thief.body['error']]).toEqual([400, 'invalid_grant']);
    expect((await introspect(server, access)).body).toEqual({ active: false });
  });

  it('may name its key in the authorization request (dpop_jkt)', async () => {
    const query = new URLSearchParams({
      ...openParameters(),
      dpop_jkt: app.proofKey.thumbprint,
    }).toString();
    const agent = createCustomerAgent(server);
    const code = codeIn(await agent.authorize(`${server.issuer}/authorize?${query}`));
    const thief = { proof: { key: await newClientKey() } };
    await expectRefused(await app.exchange(code, thief), 'invalid_grant');
    await expectRefused(await app.exchange(code, { proof: false }), 'invalid_grant');
    expect((await app.exchange(code)).status).toBe(200);
  });
});

describe('Whoever proves nothing', () => {
  it('still gets bearer tokens where the client need not bind them', async () => {
    const headers = basic('web', server.secrets.web);
    const url = `${server.issuer}/token`;
    const { body } = await post(server.fetch(), url, { form: credentials, headers });
    expect(body['token_type']).toBe('Bearer');
    const proof = await dpopProof({ key: client.proofKey, url });
    const bound = await post(server.fetch(), url, {
      form: credentials,
      headers: { ...headers, dpop: proof },
    });
    expect(bound.body['token_type']).toBe('DPoP');
  });

  it('cannot use a bearer token by a proof, or a bound one as a bearer', async () => {
    const url = `${server.issuer}/userinfo`;
    const { body } = await client.exchange(codeIn(await client.authorize()));
    const access = String(body['access_token']);
    const { status, headers } = await send(server.fetch(), url, {
      headers: { authorization: `Bearer ${access}` },
    });
    expect([status, headers.get('www-authenticate')]).toEqual([
      401,
      expect.stringContaining('DPoP') as unknown,
    ]);
  });
});
