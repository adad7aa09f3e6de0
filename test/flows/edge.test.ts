import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { asking, overriding } from '../../src/edge/original-request.ts';
import { clientCertificate } from '../support/certificates.ts';
import { askEdge, askRaw, edgeEnvironment, gateway } from '../support/edge.ts';
import type { EdgeQuestion } from '../support/edge.ts';
import { edgeCallers, refusal } from '../support/edge-callers.ts';
import type { EdgeCallers } from '../support/edge-callers.ts';
import { dpopProof, fapiClient, fapiRegistration, newClientKey } from '../support/fapi.ts';
import type { FapiClient, ProofOptions } from '../support/fapi.ts';
import { post } from '../support/protocol.ts';
import { accountsApi, opaqueApi, startAuthorizationServer, tppSubject } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { customerTokens } from '../support/tokens.ts';

let server: AuthorizationServer;
let holder: FapiClient;
let callers: EdgeCallers;
let setUp: Awaited<ReturnType<typeof edgeEnvironment>>;

const route = (path: string, more: object = {}) => ({
  ...{ path, methods: ['GET'], resourceServer: accountsApi, scopes: ['accounts'] },
  ...more,
});

const routes = [
  route('/accounts'),
  route('/accounts/*/balances'),
  route('/payments', { methods: ['POST'], scopes: ['accounts', 'payments'] }),
  route('/keys', { credentials: ['api-key'] }),
  route('/either', { credentials: ['token', 'api-key'], unboundTokens: 'accept' }),
  route('/unbound', { unboundTokens: 'accept' }),
  route('/strong', { unboundTokens: 'accept', acr: ['urn:bank:strong'] }),
  route('/recent', { unboundTokens: 'accept', maxAgeSeconds: 3600 }),
  route('/statements', { resourceServer: opaqueApi, scopes: ['statements'] }),
  route('/wide/**', { unboundTokens: 'accept', scopes: [] }),
];

beforeAll(async () => {
  const key = await newClientKey();
  setUp = await edgeEnvironment({ routes });
  server = await startAuthorizationServer({
    algorithms: ['PS256'],
    clients: [fapiRegistration('bank-app', key)],
    environment: setUp.environment,
  });
  callers = edgeCallers(server);
  holder = fapiClient(server, { id: 'bank-app', key, proofKey: await newClientKey() });
});

afterAll(async () => {
  await server.stop();
  await setUp.remove();
});

const ask = (question: EdgeQuestion) => askEdge(server, question);
const withToken = (token: string, question: EdgeQuestion = {}) =>
  callers.withToken(token, question);
const machineToken = (scope?: string, resource?: string) => callers.machineToken(scope, resource);
const unboundToken = () => callers.unboundToken();
const apiKey = (more: object = {}) => callers.apiKey(more);

async function admitted(): Promise<number> {
  const text = await (await fetch(`${server.operationsOrigin}/metrics`)).text();
  return Number(/edge_decisions_total\{outcome="admitted"\} (\d+)/.exec(text)?.[1] ?? 0);
}

const none = [401, undefined, 'Bearer'];
const invalid = [401, 'invalid_token', 'Bearer'];
const deniedOutright = [403, 'access_denied', ''];

describe('The edge tells who calls', () => {
  it('with a customer’s token', async () => {
    const { accessToken } = await customerTokens(server, 'tpp', {
      resource: accountsApi,
      scope: 'openid accounts',
    });
    const before = await admitted();
    const { status, headers, body } = await withToken(accessToken, { target: '/accounts?page=2' });
    expect([status, body]).toEqual([200, {}]);
    expect(headers).toMatchObject({
      'x-user-id': server.customer.id,
      'x-client-id': 'tpp',
      'x-scopes': 'openid accounts',
      'x-token-expires': expect.stringMatching(/^\d{10}$/) as string,
      'x-request-id': expect.stringMatching(/^[\da-f-]{36}$/) as string,
      'cache-control': 'no-store',
    });
    expect(headers).not.toHaveProperty('x-consent-id');
    expect((await admitted()) - before).toBe(1);
  });

  it('with a machine’s token, JWT or opaque', async () => {
    const jwt = await withToken(await machineToken());
    expect(jwt.headers).toMatchObject({ 'x-client-id': 'tpp', 'x-scopes': 'accounts' });
    expect(jwt.headers).not.toHaveProperty('x-user-id');
    const opaque = await machineToken('statements', opaqueApi);
    expect(opaque).not.toContain('.');
    const { headers } = await withToken(opaque, { target: '/statements' });
    expect(headers).toMatchObject({ 'x-client-id': 'tpp', 'x-scopes': 'statements' });
  });

  it('with an API key, in either header', async () => {
    const key = await apiKey();
    for (const headers of [{ 'x-api-key': key }, { authorization: `Bearer ${key}` }]) {
      const answer = await ask({ target: '/keys', headers });
      expect(answer).toMatchObject({
        status: 200,
        headers: { 'x-client-id': 'tpp', 'x-scopes': 'accounts' },
      });
      expect(answer.headers).toHaveProperty('x-api-key-id');
    }
  });

  it('with a key that the token is bound to, each proof once', async () => {
    const form = { grant_type: 'client_credentials', scope: 'accounts', resource: accountsApi };
    const accessToken = String((await holder.token(form)).body['access_token']);
    const proof = (options: Partial<ProofOptions> = {}) => {
      const usual = { key: holder.proofKey, url: `${gateway}/accounts`, method: 'GET' };
      return dpopProof({ ...usual, accessToken, ...options });
    };
    const withProof = (dpop: string | string[] | undefined) =>
      ask({ headers: { authorization: `DPoP ${accessToken}`, dpop } });
    const once = await proof();
    expect(await withProof(once)).toMatchObject({
      status: 200,
      headers: { 'x-client-id': 'bank-app' },
    });
    const badProof = [401, 'invalid_dpop_proof', 'DPoP'];
    expect(refusal(await withProof(once))).toEqual(badProof);
    expect(refusal(await withProof(await proof({ method: 'POST' })))).toEqual(badProof);
    expect(refusal(await withProof(await proof({ url: `${gateway}/payments` })))).toEqual(badProof);
    expect(refusal(await withProof(await proof({ url: server.mtlsOrigin })))).toEqual(badProof);
    expect(refusal(await withProof(await proof({ accessToken: 'x' })))).toEqual(badProof);
    expect(refusal(await withProof([await proof(), await proof()]))).toEqual(badProof);
    expect(refusal(await withProof(undefined))).toEqual(badProof);
    const stranger = await proof({ key: await newClientKey() });
    expect(refusal(await withProof(stranger))).toEqual([401, 'invalid_token', 'DPoP']);
    expect(refusal(await withToken(accessToken))).toEqual(invalid);
    expect((await withProof(await proof())).status).toBe(200);
  });
});

describe('The edge refuses', () => {
  it('who brings nothing, and says what the route takes', async () => {
    const token = await ask({});
    expect(refusal(token)).toEqual(none);
    expect(token.headers['www-authenticate']).toBe(
      `Bearer realm="${accountsApi}", DPoP realm="${accountsApi}", algs="ES256 PS256 EdDSA Ed25519"`,
    );
    const key = await ask({ target: '/keys' });
    expect(key.headers['www-authenticate']).toBe(`ApiKey realm="${accountsApi}"`);
    const either = await ask({ target: '/either' });
    expect(either.headers['www-authenticate']).toMatch(/^Bearer .*, DPoP .*, ApiKey /);
  });

  it('several credentials, and malformed ones', async () => {
    const token = await machineToken();
    const key = await apiKey();
    const malformed = [401, 'invalid_request'];
    for (const headers of [
      { authorization: [`Bearer ${token}`, `Bearer ${token}`] },
      { authorization: `Bearer ${token} x` },
      { authorization: `Bearer ${token}`, 'x-api-key': key },
      { 'x-api-key': [key, key] },
    ]) {
      const answer = await ask({ target: '/either', certificate: server.tpp, headers });
      expect(refusal(answer).slice(0, 2)).toEqual(malformed);
    }
  });

  it('tokens that are not good, not for the API, or not for the route', async () => {
    const token = await machineToken();
    expect(refusal(await withToken('x'))).toEqual(invalid);
    expect(refusal(await withToken(`${token}x`))).toEqual(invalid);
    expect(refusal(await withToken(await machineToken('statements', opaqueApi)))).toEqual(invalid);
    const { idToken, refreshToken } = await customerTokens(server, 'tpp', {
      resource: accountsApi,
      scope: 'openid accounts',
    });
    expect(refusal(await withToken(idToken))).toEqual(invalid);
    expect(refusal(await withToken(refreshToken))).toEqual(invalid);
    const answer = await withToken(token, { method: 'POST', target: '/payments' });
    expect(refusal(answer)).toEqual([403, 'insufficient_scope', 'Bearer']);
    expect(answer.headers['www-authenticate']).toContain('scope="accounts payments"');
    expect(refusal(await withToken(token, { target: '/keys' }))).toEqual(invalid);
  });

  it('tokens without what they are bound to', async () => {
    const token = await machineToken();
    const { authority, foreignAuthority } = server.certificates;
    const other = await clientCertificate(authority, { subject: tppSubject });
    expect((await withToken(token)).status).toBe(200);
    expect(refusal(await withToken(token, { certificate: undefined }))).toEqual(invalid);
    expect(refusal(await withToken(token, { certificate: other }))).toEqual(invalid);
    const foreign = await clientCertificate(foreignAuthority, { subject: tppSubject });
    expect(refusal(await withToken(token, { certificate: foreign }))).toEqual(invalid);
    const broken = { 'ssl-client-cert': 'x' };
    expect(refusal(await withToken(token, { headers: broken }))).toEqual(deniedOutright);
    const unbound = await unboundToken();
    expect(refusal(await withToken(unbound))).toEqual(invalid);
    expect((await withToken(unbound, { target: '/unbound' })).status).toBe(200);
  });

  it('customers who have to authenticate in another way, or again', async () => {
    const { accessToken } = await customerTokens(server, 'web', {
      resource: accountsApi,
      scope: 'openid accounts',
    });
    const weak = await withToken(accessToken, { target: '/strong' });
    expect(refusal(weak)).toEqual([401, 'insufficient_user_authentication', 'Bearer']);
    expect(weak.headers['www-authenticate']).toContain('acr_values="urn:bank:strong"');
    expect((await withToken(accessToken, { target: '/recent' })).status).toBe(200);
    const machine = await withToken(await unboundToken(), { target: '/recent' });
    expect(refusal(machine)[1]).toBe('insufficient_user_authentication');
    expect(machine.headers['www-authenticate']).toContain('max_age="3600"');
  });

  it('API keys that are not good, not for the API, or not for the route', async () => {
    const key = await apiKey();
    const withKey = (value: string, target = '/keys') =>
      ask({ target, headers: { 'x-api-key': value } });
    const bad = [401, 'invalid_token', 'ApiKey'];
    expect(refusal(await withKey(`${key}x`))).toEqual(bad);
    expect(refusal(await withKey('x'))).toEqual(bad);
    expect(refusal(await withKey(key, '/accounts'))).toEqual(bad);
    expect(refusal(await withKey(await apiKey({ addresses: ['10.0.0.0/8'] })))).toEqual(bad);
    expect((await withKey(await apiKey({ addresses: ['203.0.113.0/24'] }))).status).toBe(200);
    const payments = await apiKey({ permissions: { [accountsApi]: ['payments'] } });
    expect(refusal(await withKey(payments))).toEqual([403, 'insufficient_scope', 'ApiKey']);
    const limited = await apiKey({ limit: { requests: 2, seconds: 60 } });
    const statuses = [];
    for (let i = 0; i < 3; i += 1) statuses.push((await withKey(limited)).status);
    expect(statuses).toEqual([200, 200, 429]);
    const last = await withKey(limited);
    expect(Number(last.headers['retry-after'])).toBeGreaterThan(0);
    expect(last.body).toEqual({ error: 'too_many_requests' });
  });

  it('every request that no route is for', async () => {
    const token = await machineToken('accounts payments');
    const answerTo = async (method: string, target: string) =>
      refusal(await withToken(token, { method, target }));
    expect((await withToken(token, { target: '/accounts/1/balances' })).status).toBe(200);
    expect((await withToken(token, { method: 'HEAD' })).status).toBe(200);
    for (const [method, target] of [
      ['POST', '/accounts'],
      ['GET', '/payments'],
      ['GET', '/'],
      ['GET', '/accounts/1'],
      ['GET', '/Accounts'],
      ['GET', '/accounts/'],
      ['GET', '//accounts'],
      ['GET', '/wide/../accounts'],
      ['GET', '/wide/%2e%2e/admin'],
      ['GET', '/wide;x=1/a'],
      ['GET', '/wide%2fa'],
      ['GET', '/wide\\a'],
      ['get', '/accounts'],
    ] as const) {
      expect([method, target, ...(await answerTo(method, target))]).toEqual([
        ...[method, target],
        ...deniedOutright,
      ]);
    }
  });

  it('what a caller would have servers behind take for something else', async () => {
    const token = await machineToken();
    const own = { 'x-original-uri': ['/accounts', '/admin'], 'x-original-method': ['GET', 'POST'] };
    for (const headers of [
      ...Object.entries(own).map(([name, lines]) => ({ [name]: lines })),
      ...overriding.map((name) => ({ [name]: '/admin' })),
      ...[...overriding, ...asking].map((name) => ({ [name.replaceAll('-', '_')]: '/admin' })),
      { x_user_id: 'somebody' },
      { X_Scopes: 'admin' },
    ]) {
      expect(refusal(await withToken(token, { headers }))).toEqual(deniedOutright);
    }
    const spoofed = await withToken(token, { headers: { 'x-user-id': 'somebody' } });
    expect([spoofed.status, spoofed.headers['x-user-id']]).toEqual([200, undefined]);
  });

  it('everybody who is no proxy of ours', async () => {
    const headers = { authorization: `Bearer ${await unboundToken()}` };
    const target = '/unbound';
    expect((await ask({ target, headers })).status).toBe(200);
    for (const secret of [undefined, 'x', ['a', 'b']]) {
      const answer = await ask({
        target,
        headers: { ...headers, 'countersign-proxy-secret': secret },
      });
      expect(refusal(answer)).toEqual(deniedOutright);
    }
  });

  it('and has no other address', async () => {
    for (const url of ['/edge/verify/', '/edge/verify/accounts', '/Edge/verify', '/edge']) {
      const { status } = await askRaw(server, { url, method: 'GET', headers: {} });
      expect([url, status]).toEqual([url, 404]);
    }
  });
});

describe('What ends', () => {
  it('ends at the edge at once: a token that its client revokes', async () => {
    const token = await machineToken();
    expect((await withToken(token)).status).toBe(200);
    const form = { client_id: 'tpp', token };
    await post(server.fetch(server.tpp), `${server.mtlsOrigin}/revoke`, { form });
    expect(refusal(await withToken(token))).toEqual(invalid);
  });

  it('ends at the edge at once: a key', async () => {
    const key = await apiKey();
    const withKey = () => ask({ target: '/keys', headers: { 'x-api-key': key } });
    const { headers } = await withKey();
    const { issuing } = server.running.app.apiKeys;
    await issuing.revoke(String(headers['x-api-key-id']), { type: 'client', id: 'tpp' });
    expect(refusal(await withKey())[0]).toBe(401);
  });
});
