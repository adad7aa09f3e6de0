import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { epochSeconds, systemClock } from '../../src/clock.ts';
import type { Clock } from '../../src/clock.ts';
import { addDemoResource } from '../../src/development/demo-resource.ts';
import { clientCertificate } from '../support/certificates.ts';
import { dpopProof, fapiClient, fapiRegistration, newClientKey } from '../support/fapi.ts';
import type { FapiClient, ProofOptions } from '../support/fapi.ts';
import { send } from '../support/protocol.ts';
import type { Answer } from '../support/protocol.ts';
import { accountsApi, startAuthorizationServer, tppSubject } from '../support/server.ts';
import type { AuthorizationServer, ServerOptions } from '../support/server.ts';
import { customerTokens, machineTokens } from '../support/tokens.ts';

let seconds = 0;
const clock: Clock = { now: () => new Date(systemClock.now().getTime() + seconds * 1000) };

let server: AuthorizationServer;
let client: FapiClient;

async function start(nonceRequired: boolean, options: ServerOptions = {}) {
  const key = await newClientKey();
  const started = await startAuthorizationServer({
    clock,
    algorithms: ['PS256'],
    clients: [fapiRegistration('bank-app', key)],
    developmentRoutes(router, parts) {
      addDemoResource(router, { ...parts, nonceRequired });
    },
    ...options,
  });
  const proofKey = await newClientKey();
  return { started, client: fapiClient(started, { id: 'bank-app', key, proofKey }) };
}

beforeAll(async () => {
  ({ started: server, client } = await start(false));
});

afterEach(() => {
  seconds = 0;
});

afterAll(() => server.stop());

const path = '/development/resource';
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

function callOverTls(
  token: string,
  { at = path, certificate = server.tpp }: { at?: string; certificate?: typeof server.tpp } = {},
): Promise<Answer> {
  return send(server.fetch(certificate), server.mtlsOrigin + at, { headers: bearer(token) });
}

function expectRefused({ status, headers, body }: Answer, error: string, scheme = 'Bearer'): void {
  expect([status, body['error']]).toEqual([401, error]);
  expect(headers.get('www-authenticate')).toMatch(
    new RegExp(`^${scheme} realm="demo resource", error="${error}"`),
  );
  expect(headers.get('cache-control')).toBe('no-store');
}

describe('The demo resource takes a token that is bound to a certificate', () => {
  it('with that certificate, and says what the token says', async () => {
    const { accessToken } = await customerTokens(server, 'tpp', {
      resource: accountsApi,
      scope: 'openid accounts',
    });
    const answer = await callOverTls(accessToken, { at: `${path}/accounts` });
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({
      client_id: 'tpp',
      sub: server.customer.id,
      scope: 'openid accounts',
      aud: expect.arrayContaining([accountsApi]) as unknown,
      exp: expect.any(Number) as unknown,
      cnf: { 'x5t#S256': expect.stringMatching(/^[\w-]{43}$/) as unknown },
    });
    expect(answer.headers.get('x-fapi-interaction-id')).toMatch(/^[\da-f-]{36}$/);
  });

  it('whether it is a JWT or opaque', async () => {
    const { jwt, opaque } = await machineTokens(server, 'tpp');
    for (const token of [jwt, opaque]) {
      expect((await callOverTls(token)).body).toMatchObject({ client_id: 'tpp', sub: 'tpp' });
    }
  });

  it('and refuses it with another certificate, or none', async () => {
    const { jwt } = await machineTokens(server, 'tpp');
    const other = await clientCertificate(server.certificates.authority, { subject: tppSubject });
    expectRefused(await callOverTls(jwt, { certificate: other }), 'invalid_token');
    const bare = await send(server.fetch(), server.issuer + path, { headers: bearer(jwt) });
    expectRefused(bare, 'invalid_token');
  });
});

describe('The demo resource refuses', () => {
  it('a request without a token, and says what to bring', async () => {
    const answer = await send(server.fetch(server.tpp), server.mtlsOrigin + path);
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toBe(
      'Bearer realm="demo resource", DPoP realm="demo resource", algs="PS256 ES256 EdDSA"',
    );
  });

  it('a token in the query', async () => {
    const { jwt } = await machineTokens(server, 'tpp');
    const url = `${server.mtlsOrigin}${path}?access_token=${jwt}`;
    expect((await send(server.fetch(server.tpp), url)).status).toBe(401);
  });

  it('a header that is malformed', async () => {
    const answer = await callOverTls('two words');
    expect([answer.status, answer.body['error']]).toEqual([400, 'invalid_request']);
  });

  it('a token that it never issued', async () => {
    expectRefused(await callOverTls('unknown'), 'invalid_token');
    const { jwt } = await machineTokens(server, 'tpp');
    expectRefused(await callOverTls(`${jwt.slice(0, -4)}AAAA`), 'invalid_token');
  });

  it('a token that has expired', async () => {
    const { jwt } = await machineTokens(server, 'tpp');
    expect((await callOverTls(jwt)).status).toBe(200);
    seconds = 601;
    expectRefused(await callOverTls(jwt), 'invalid_token');
  });

  it('a token that was revoked', async () => {
    const { jwt } = await machineTokens(server, 'tpp');
    await send(server.fetch(server.tpp), `${server.mtlsOrigin}/revoke`, {
      method: 'POST',
      body: new URLSearchParams({ client_id: 'tpp', token: jwt }),
    });
    expectRefused(await callOverTls(jwt), 'invalid_token');
  });

  it('a token of a customer who was suspended', async () => {
    const { accessToken } = await customerTokens(server, 'tpp', {
      resource: accountsApi,
      scope: 'accounts',
    });
    const { customers } = server.running.app;
    await customers.setStatus(server.customer.id, 'suspended');
    expectRefused(await callOverTls(accessToken), 'invalid_token');
    await customers.setStatus(server.customer.id, 'active');
    expect((await callOverTls(accessToken)).status).toBe(200);
  });

  it('a token without the scope that the address names', async () => {
    const { jwt } = await machineTokens(server, 'tpp');
    const answer = await callOverTls(jwt, { at: `${path}/admin` });
    expect([answer.status, answer.body['error']]).toEqual([403, 'insufficient_scope']);
    expect(answer.headers.get('www-authenticate')).toContain('scope="admin"');
  });
});

describe('The demo resource takes a token that is bound to a key', () => {
  let token: string;

  beforeAll(async () => {
    const form = { grant_type: 'client_credentials', scope: 'accounts', resource: accountsApi };
    token = String((await client.token(form)).body['access_token']);
  });

  const proof = (options: Partial<ProofOptions> = {}) =>
    dpopProof({
      key: client.proofKey,
      url: server.issuer + path,
      method: 'GET',
      accessToken: token,
      ...options,
    });

  const callWith = (dpop: string, authorization = `DPoP ${token}`) =>
    send(server.fetch(), server.issuer + path, { headers: { authorization, dpop } });

  it('with a proof, on both hosts', async () => {
    const answer = await callWith(await proof());
    expect(answer.status).toBe(200);
    expect(answer.body['cnf']).toEqual({ jkt: client.proofKey.thumbprint });
    const url = server.mtlsOrigin + path;
    const headers = { authorization: `DPoP ${token}`, dpop: await proof({ url }) };
    expect((await send(server.fetch(), url, { headers })).status).toBe(200);
  });

  it('and refuses on each host a proof for the other', async () => {
    const url = server.mtlsOrigin + path;
    expectRefused(await callWith(await proof({ url })), 'invalid_dpop_proof', 'DPoP');
    const headers = { authorization: `DPoP ${token}`, dpop: await proof() };
    const other = await send(server.fetch(), url, { headers });
    expectRefused(other, 'invalid_dpop_proof', 'DPoP');
  });

  it.each<[string, Partial<ProofOptions>]>([
    ['of another method', { method: 'POST' }],
    ['for another address', { url: 'https://localhost/development/resource' }],
    ['of another token', { accessToken: 'another' }],
    ['without ath', { claims: { ath: undefined } }],
    ['without jti', { claims: { jti: undefined } }],
    ['that is an hour old', { claims: { iat: epochSeconds(systemClock) - 3600 } }],
    ['from the future', { claims: { iat: epochSeconds(systemClock) + 30 } }],
    ['of another type', { header: { typ: 'JWT' } }],
  ])('and refuses a proof %s', async (_what, options) => {
    expectRefused(await callWith(await proof(options)), 'invalid_dpop_proof', 'DPoP');
  });

  it('and refuses it without a proof, and with one that is no JWT', async () => {
    const headers = { authorization: `DPoP ${token}` };
    const without = await send(server.fetch(), server.issuer + path, { headers });
    expectRefused(without, 'invalid_dpop_proof', 'DPoP');
    expectRefused(await callWith('nonsense'), 'invalid_dpop_proof', 'DPoP');
  });

  it('and refuses a proof that comes again', async () => {
    const once = await proof();
    expect((await callWith(once)).status).toBe(200);
    expectRefused(await callWith(once), 'invalid_dpop_proof', 'DPoP');
  });

  it('and refuses a proof of another key', async () => {
    const other = await proof({ key: await newClientKey() });
    expectRefused(await callWith(other), 'invalid_token', 'DPoP');
  });

  it('and refuses it as a bearer token', async () => {
    expectRefused(await callWith(await proof(), `Bearer ${token}`), 'invalid_token');
  });

  it('and a proof for a token that is bound to no key', async () => {
    const { jwt } = await machineTokens(server, 'web');
    const dpop = await proof({ accessToken: jwt });
    expectRefused(await callWith(dpop, `DPoP ${jwt}`), 'invalid_token', 'DPoP');
    expect((await callWith(dpop, `Bearer ${jwt}`)).status).toBe(200);
  });

  it('and refuses a nonce that is not its own', async () => {
    const answer = await callWith(await proof({ nonce: 'guessed' }));
    expectRefused(answer, 'use_dpop_nonce', 'DPoP');
    const nonce = answer.headers.get('dpop-nonce') ?? '';
    expect((await callWith(await proof({ nonce }))).status).toBe(200);
    seconds = 130;
    const iat = epochSeconds(clock);
    const late = await proof({ nonce, claims: { iat } });
    expectRefused(await callWith(late), 'use_dpop_nonce', 'DPoP');
  });

  it('and asks for a nonce where it is told to', async () => {
    const { started, client: nonceClient } = await start(true);
    try {
      const form = { grant_type: 'client_credentials', scope: 'accounts', resource: accountsApi };
      const own = String((await nonceClient.token(form)).body['access_token']);
      const url = started.issuer + path;
      const call = async (nonce?: string) => {
        const usual = { key: nonceClient.proofKey, url, method: 'GET', accessToken: own };
        const dpop = await dpopProof({ ...usual, ...(nonce === undefined ? {} : { nonce }) });
        return send(started.fetch(), url, { headers: { authorization: `DPoP ${own}`, dpop } });
      };
      const first = await call();
      expectRefused(first, 'use_dpop_nonce', 'DPoP');
      expect((await call(first.headers.get('dpop-nonce') ?? '')).status).toBe(200);
    } finally {
      await started.stop();
    }
  });
});

describe('Where development routes are missing, as in production', () => {
  it('there is no demo resource', async () => {
    const other = await startAuthorizationServer();
    try {
      const { jwt } = await machineTokens(other, 'tpp');
      const url = other.mtlsOrigin + path;
      const answer = await send(other.fetch(other.tpp), url, { headers: bearer(jwt) });
      expect(answer.status).toBe(404);
    } finally {
      await other.stop();
    }
  });
});
