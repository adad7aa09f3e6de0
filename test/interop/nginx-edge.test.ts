import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { IncomingMessage, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { secondsFromNow, systemClock } from '../../src/clock.ts';
import type { IssuedCertificate } from '../../src/development/certificate-authority.ts';
import { asking, overriding } from '../../src/edge/original-request.ts';
import { clientCertificate, createTestCertificates } from '../support/certificates.ts';
import { edgeEnvironment, gateway } from '../support/edge.ts';
import { dpopProof, fapiClient, fapiRegistration, newClientKey } from '../support/fapi.ts';
import type { FapiClient } from '../support/fapi.ts';
import { freePort } from '../support/free-port.ts';
import { post } from '../support/protocol.ts';
import { accountsApi, opaqueApi, startAuthorizationServer, tppSubject } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { customerTokens } from '../support/tokens.ts';
import { machineToken } from './support/access-tokens.ts';
import { askGateway, startGateway } from './support/edge-gateway.ts';
import type { Asked } from './support/edge-gateway.ts';
import type { Nginx } from './support/nginx.ts';

/** What got through to the API, and the names of its header lines, as often as they came. */
type Passed = Pick<IncomingMessage, 'headers'> & { request: string; names: string[] };

let server: AuthorizationServer;
let holder: FapiClient;
let api: Server;
let nginx: Nginx;
let proxy: IssuedCertificate;
let port: number;
let setUp: Awaited<ReturnType<typeof edgeEnvironment>>;
let removeLimits: () => Promise<void>;
const passed: Passed[] = [];

const route = (at: string, more: object = {}) => ({
  ...{ path: at, methods: ['GET'], resourceServer: accountsApi, scopes: ['accounts'] },
  ...more,
});

const routes = [
  route('/accounts'),
  route('/payments', { methods: ['POST'], scopes: ['payments'] }),
  route('/keys', { credentials: ['api-key'] }),
  route('/files/**', { scopes: [] }),
];

beforeAll(async () => {
  const { authority } = await createTestCertificates();
  proxy = await clientCertificate(authority, { sanDns: ['proxy.bank.internal'] });
  setUp = await edgeEnvironment({ routes });
  const key = await newClientKey();
  server = await startAuthorizationServer({
    algorithms: ['PS256'],
    clients: [fapiRegistration('bank-app', key)],
    environment: {
      ...setUp.environment,
      COUNTERSIGN_PROXY_TRUSTSTORE: authority.certificatePem,
      COUNTERSIGN_PROXY_NAMES: 'dns:proxy.bank.internal',
      COUNTERSIGN_DPOP_NONCE_REQUIRED: 'true',
      COUNTERSIGN_RATE_LIMIT_POLICY: await limitFile(),
    },
  });
  holder = fapiClient(server, { id: 'bank-app', key, proofKey: await newClientKey() });
  api = createServer((request, response) => {
    const { method = '', url = '', headers, rawHeaders } = request;
    const names = rawHeaders.filter((_, index) => index % 2 === 0);
    passed.push({ request: `${method} ${url}`, headers, names: names.map(lowerCase) });
    response.end('served');
  }).listen(0, '127.0.0.1');
  await once(api, 'listening');
  port = await freePort();
  nginx = await start(port, proxy);
});

const start = (listening: number, shown: IssuedCertificate, behind?: number) =>
  startGateway(server, {
    ...{ listening, proxy: shown, behind },
    api: (api.address() as AddressInfo).port,
  });

const lowerCase = (name: string) => name.toLowerCase();

async function limitFile(): Promise<string> {
  const folder = await temporaryDirectory();
  removeLimits = () => folder.remove();
  const file = path.join(folder.path, 'limits.json');
  const usual = { groups: ['edge'], algorithm: 'fixed-window', windowSeconds: 3600 };
  const rules = [{ ...usual, name: 'keys', per: 'api-key', limit: 2 }];
  await writeFile(file, JSON.stringify({ rules }));
  return file;
}

beforeEach(() => {
  passed.length = 0;
});

afterAll(async () => {
  await nginx.stop();
  api.close();
  await server.stop();
  await setUp.remove();
  await removeLimits();
});

const ask = ({ at = port, ...asked }: Asked & { at?: number }) =>
  askGateway(server, at, { certificate: server.tpp, ...asked });

const realm = `realm="${accountsApi}"`;
const expectNotPassed = async (asked: Parameters<typeof ask>[0], status: number) => {
  const answer = await ask(asked);
  expect([asked.target ?? asked.headers, answer.status]).toEqual([
    asked.target ?? asked.headers,
    status,
  ]);
  expect(passed).toEqual([]);
  return answer;
};

describe('NGINX lets pass', () => {
  it('a customer’s token with its certificate, and says who it is', async () => {
    const access = { resource: accountsApi, scope: 'openid accounts' };
    const { accessToken: token } = await customerTokens(server, 'tpp', access);
    expect(await ask({ token, target: '/accounts?page=1&x=/../' })).toMatchObject({ status: 200 });
    expect(passed).toMatchObject([
      {
        request: 'GET /accounts?page=1&x=/../',
        headers: {
          'x-user-id': server.customer.id,
          'x-client-id': 'tpp',
          'x-scopes': 'openid accounts',
          'x-token-expires': expect.stringMatching(/^\d+$/) as string,
          'x-request-id': expect.stringMatching(/^[\da-f-]{36}$/) as string,
        },
      },
    ]);
    expect(passed[0]?.headers).not.toHaveProperty('authorization');
    expect(passed[0]?.headers).not.toHaveProperty('x-consent-id');
  });

  it('an API key, until it is used too often', async () => {
    const terms = {
      ...{ name: 'key', addresses: ['127.0.0.1/32'], limit: undefined },
      permissions: { [accountsApi]: ['accounts'] },
      expiresAt: secondsFromNow(systemClock, 3600),
    };
    const owner = { type: 'client', id: 'tpp' } as const;
    const { issuing } = server.running.app.apiKeys;
    const made = await issuing.create({ owner, terms, idempotency: undefined }, owner);
    const secret = 'secret' in made ? (made.secret ?? '') : '';
    const headers = [`X-API-Key: ${secret}`];
    const withKey = () => ask({ target: '/keys', certificate: undefined, headers });
    expect([(await withKey()).status, (await withKey()).status]).toEqual([200, 200]);
    expect(passed[0]?.headers).toMatchObject({ 'x-client-id': 'tpp' });
    expect(passed[0]?.headers).not.toHaveProperty('x-api-key');
    const limited = await withKey();
    expect([limited.status, passed.length]).toEqual([429, 2]);
    expect(Number(limited.retryAfter)).toBeGreaterThan(0);
  });

  it('a key’s holder with a nonce that NGINX hands on', async () => {
    const form = { grant_type: 'client_credentials', scope: 'accounts', resource: accountsApi };
    const nonceOf = (answer: { headers: Headers }) => answer.headers.get('dpop-nonce') ?? '';
    const first = await holder.token(form);
    const granted = await holder.token(form, { proof: { nonce: nonceOf(first) } });
    const accessToken = String(granted.body['access_token']);
    const withNonce = async (nonce?: string) => {
      const proof = { key: holder.proofKey, url: `${gateway}/accounts`, method: 'GET' };
      const dpop = await dpopProof({ ...proof, accessToken, ...(nonce && { nonce }) });
      return ask({ headers: [`Authorization: DPoP ${accessToken}`, `DPoP: ${dpop}`] });
    };
    const refused = await withNonce();
    expect(refused).toMatchObject({
      status: 401,
      challenge: expect.stringContaining('DPoP realm') as string,
    });
    expect(refused.challenge).toContain('error="use_dpop_nonce"');
    expect((await withNonce(refused.nonce)).status).toBe(200);
    expect(passed[0]?.headers).toMatchObject({ 'x-client-id': 'bank-app' });
    expect(passed[0]?.headers).not.toHaveProperty('dpop');
  });

  it('HTTP/1.0, by the same rules', async () => {
    const token = await machineToken(server, 'tpp');
    expect(await ask({ token, version: '1.0' })).toMatchObject({ status: 200 });
    expect(passed).toHaveLength(1);
    passed.length = 0;
    await expectNotPassed({ version: '1.0' }, 401);
    await expectNotPassed({ version: '1.0', token, target: '//accounts' }, 403);
    await expectNotPassed({ version: '1.0', token, certificate: undefined }, 401);
  });
});

describe('NGINX does not let pass', () => {
  it('who brings nothing, or nothing good', async () => {
    const none = await expectNotPassed({}, 401);
    expect(none.challenge).toMatch(/^Bearer realm=.*, DPoP realm=/);
    const unknown = await expectNotPassed({ token: 'x' }, 401);
    expect(unknown.challenge).toBe(
      `Bearer ${realm}, error="invalid_token", error_description="the token is not valid here"`,
    );
    await expectNotPassed({ headers: ['Authorization: Basic dHBwOng='] }, 401);
    const opaque = { resource: opaqueApi, scope: 'statements' };
    await expectNotPassed({ token: await machineToken(server, 'tpp', opaque) }, 401);
    await expectNotPassed({ target: '/keys', headers: ['X-API-Key: ck_test_x'] }, 401);
  });

  it('a token without its certificate, and one that is bound to nothing', async () => {
    const token = await machineToken(server, 'tpp');
    const { authority, foreignAuthority } = server.certificates;
    await expectNotPassed({ token, certificate: undefined }, 401);
    const namesake = await clientCertificate(authority, { subject: tppSubject });
    await expectNotPassed({ token, certificate: namesake }, 401);
    const foreign = await clientCertificate(foreignAuthority, { subject: tppSubject });
    await expectNotPassed({ token, certificate: foreign }, 401);
    await expectNotPassed({ token: await machineToken(server, 'web') }, 401);
  });

  it('a token without the scope, and names the scope', async () => {
    const token = await machineToken(server, 'tpp', { scope: 'payments' });
    const answer = await expectNotPassed({ token }, 403);
    expect(answer.challenge).toContain('error="insufficient_scope"');
    expect(answer.challenge).toContain('scope="accounts"');
    expect((await ask({ token, method: 'POST', target: '/payments' })).status).toBe(200);
  });

  it('a token that was revoked', async () => {
    const token = await machineToken(server, 'tpp');
    expect((await ask({ token })).status).toBe(200);
    passed.length = 0;
    const form = { client_id: 'tpp', token };
    await post(server.fetch(server.tpp), `${server.mtlsOrigin}/revoke`, { form });
    await expectNotPassed({ token }, 401);
  });

  it('what no route is for', async () => {
    const token = await machineToken(server, 'tpp');
    await expectNotPassed({ token, target: '/unknown' }, 403);
    await expectNotPassed({ token, target: '/' }, 403);
    await expectNotPassed({ token, method: 'POST' }, 403);
    await expectNotPassed({ token, method: 'DELETE' }, 403);
    await expectNotPassed({ token, target: '/_countersign' }, 404);
  });

  it.each([
    ...['//accounts', '/accounts/', '/Accounts', '/./accounts', '/files/../accounts'],
    ...['/files//a', '/files/%2e%2e/accounts', '/files/%2E./a', '/files/..%2faccounts'],
    ...['/accounts;x=1', '/files;/a', '/files/a;b', '/files/a%3bb', '/files/%5c', '/files/a\\b'],
    ...['/files/%252e%252e/a', '/files/%00', '/files/%0d%0aX:%20y', '/%61ccounts', '/accounts%20'],
    ...['/accounts%2f', '/accounts#x', '/files/%ff', '/files/...', 'https://x.example/admin'],
  ])('a path that can be read in two ways: %s', async (target) => {
    const token = await machineToken(server, 'tpp');
    const { status } = await ask({ token, target });
    // NGINX refuses some of them by itself.
    expect([target, [400, 403].includes(status)]).toEqual([target, true]);
    expect(passed).toEqual([]);
  });

  it('an identity that the caller made up', async () => {
    const token = await machineToken(server, 'tpp');
    const headers = [
      ...['X-User-ID: admin', 'x-user-id: admin', 'X-Client-ID: admin', 'X-Scopes: admin'],
      ...['X-Consent-ID: any', 'X-Token-Expires: 9999999999', 'X-Request-ID: any'],
      ...['X-API-Key-ID: any', 'X_User_ID: admin', 'X_Scopes: admin'],
    ];
    expect((await ask({ token, headers })).status).toBe(200);
    expect(passed[0]?.headers).toMatchObject({ 'x-client-id': 'tpp', 'x-scopes': 'accounts' });
    const seen = JSON.stringify(passed);
    for (const made of ['admin', 'any', '9999999999']) expect(seen).not.toContain(`"${made}"`);
    expect(passed[0]?.names.filter((name) => name === 'x-client-id')).toHaveLength(1);
    passed.length = 0;
    await expectNotPassed({ headers }, 401);
  });

  it('what the caller says of the original request, the certificate, or the proxy', async () => {
    const token = await machineToken(server, 'tpp');
    const told = ['X-Original-URI: /accounts', 'X-Original-Method: GET', 'X-Forwarded-Uri: /a'];
    await expectNotPassed({ token, target: '/admin', headers: told }, 403);
    const pem = encodeURIComponent(server.tpp.certificatePem);
    const certificate = [`ssl-client-cert: ${pem}`, `X-Forwarded-Client-Cert: Cert="${pem}"`];
    await expectNotPassed({ token, certificate: undefined, headers: certificate }, 401);
    for (const name of overriding) {
      await expectNotPassed({ token, headers: [`${name}: /admin`] }, 403);
    }
    // Countersign is told NGINX's own; the API gets neither those nor the caller's.
    const headers = [...asking.map((name) => `${name}: /admin`), 'X_Forwarded_Prefix: /admin'];
    expect((await ask({ token, headers })).status).toBe(200);
    expect(JSON.stringify(passed)).not.toMatch(/x.original|admin/);
  });

  it('anything when nobody decides, or nobody believes it', async () => {
    const token = await machineToken(server, 'tpp');
    const [alone, stranger] = [await freePort(), await freePort()];
    const { authority } = await createTestCertificates();
    const unknown = await clientCertificate(authority, { sanDns: ['proxy.bank.internal'] });
    const gateways = await Promise.all([
      start(alone, proxy, await freePort()),
      start(stranger, unknown),
    ]);
    try {
      const undecided = await expectNotPassed({ token, at: alone }, 503);
      expect(undecided.retryAfter).toBe('5');
      await expectNotPassed({ token, at: stranger }, 403);
    } finally {
      await Promise.all(gateways.map((gateway_) => gateway_.stop()));
    }
  });

  it('headers that come twice', async () => {
    const token = await machineToken(server, 'tpp');
    const bearer = `Authorization: Bearer ${token}`;
    for (const headers of [
      [bearer, bearer],
      [bearer, 'Authorization: Bearer x'],
      ['Authorization: Bearer x', bearer],
      [bearer, 'X-API-Key: ck_test_x'],
    ]) {
      const { status } = await ask({ headers });
      // Some releases of NGINX refuse a second Authorization line themselves.
      expect([400, 401]).toContain(status);
      expect(passed).toEqual([]);
    }
    await expectNotPassed({ token, headers: ['Host: other.example'] }, 400);
  });
});
