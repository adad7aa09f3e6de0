import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import {
  bankApi,
  consentEnvironment,
  journeysOf,
  lodgeAccess,
  lodgePayment,
  plainConsents,
  startConsentServer,
  ukAccess,
} from '../support/consents.ts';
import type { ConsentServer } from '../support/consents.ts';
import { askEdge, askRaw, edgeEnvironment } from '../support/edge.ts';
import type { EdgeQuestion } from '../support/edge.ts';
import { basic } from '../support/protocol.ts';
import { startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import type { TemporaryDirectory } from '../support/temporary-directory.ts';

const route = (more: object) => ({
  ...{ path: '/accounts', methods: ['GET'], resourceServer: bankApi, scopes: ['accounts'] },
  ...more,
});

const limit = 60;
const polling = { timeout: 1500, interval: 100 };
const limits = {
  rules: [
    {
      ...{ name: 'edge', groups: ['edge'], per: 'address', algorithm: 'fixed-window' },
      ...{ limit, windowSeconds: 3600 },
    },
  ],
};

let folder: TemporaryDirectory;
let limitFile: string;
const cleanups: (() => Promise<void>)[] = [];

beforeAll(async () => {
  folder = await temporaryDirectory();
  limitFile = path.join(folder.path, 'limits.json');
  await writeFile(limitFile, JSON.stringify(limits));
});

afterAll(async () => {
  for (const cleanup of cleanups) await cleanup();
  await folder.remove();
});

const environments = new WeakMap<ConsentServer, Record<string, string>>();
const environmentOf = (world: ConsentServer) => environments.get(world) ?? {};

async function startWorld(policy: object): Promise<ConsentServer> {
  const { environment: own, remove } = await edgeEnvironment(policy);
  const environment = { ...own, COUNTERSIGN_RATE_LIMIT_POLICY: limitFile };
  const world = await startConsentServer({ environment });
  environments.set(world, { ...consentEnvironment, ...environment });
  cleanups.push(() => world.server.stop(), remove);
  return world;
}

describe('Consents at the edge', () => {
  let world: ConsentServer;
  let second: AuthorizationServer;
  let frozen: AuthorizationServer;

  beforeAll(async () => {
    const routes = [route({}), route({ path: '/payments', scopes: ['payments'] })];
    world = await startWorld({ routes });
    second = await world.beside();
    const now = systemClock.now();
    frozen = await startAuthorizationServer({
      ...{ beside: world.server, environment: environmentOf(world) },
      clock: { now: () => now },
    });
    cleanups.unshift(
      () => second.stop(),
      () => frozen.stop(),
    );
  });

  const ask = (token: string, question: EdgeQuestion = {}) => {
    const headers = { authorization: `Bearer ${token}`, ...question.headers };
    const { certificate } = world.tpp;
    return askEdge(world.server, { certificate, ...question, headers });
  };

  it('are named, and end a token with them at once, on every process', async () => {
    const { tpp, server } = world;
    const id = await lodgeAccess(tpp);
    const { tokens } = await journeysOf(world).tokensUnder(id);
    const token = tokens.access_token;
    expect(await ask(token)).toMatchObject({
      status: 200,
      headers: { 'x-consent-id': id, 'x-user-id': server.customer.id, 'x-client-id': tpp.id },
    });
    const end = await tpp.call('DELETE', `${ukAccess}/${id}`, { scope: 'accounts' });
    expect(end.status).toBe(204);
    expect((await ask(token)).status).toBe(401);
    expect((await ask(token, { at: second })).status).toBe(401);
  });

  it('are heard to have ended by processes that remember them', async () => {
    const { tpp } = world;
    const id = await lodgeAccess(tpp);
    const { tokens } = await journeysOf(world).tokensUnder(id);
    const token = tokens.access_token;
    const own = await tpp.token('accounts');
    // Its clock stands still: nothing that it remembers grows old.
    const at = frozen;
    expect((await ask(token, { at })).status).toBe(200);
    expect((await ask(token, { at })).status).toBe(200);
    await tpp.call('DELETE', `${ukAccess}/${id}`, { scope: 'accounts' });
    await expect.poll(async () => (await ask(token, { at })).status, polling).toBe(401);
    expect((await ask(own, { at })).status).toBe(200);
  });

  it('are forgotten at once by the process that uses them up', async () => {
    const id = await lodgePayment(world.tpp);
    const given = await journeysOf(world).tokensUnder(id, { scope: 'openid payments' });
    const question = { target: '/payments', at: frozen };
    const status = async () => (await ask(given.tokens.access_token, question)).status;
    expect(await status()).toBe(200);
    const response = await frozen.fetch()(`${frozen.issuer}${plainConsents}/${id}/consumption`, {
      method: 'POST',
      headers: { ...basic('bank-rs', world.serverSecret), 'content-type': 'application/json' },
      body: JSON.stringify({ payment_id: 'pay-1' }),
    });
    expect(response.status).toBe(200);
    expect(await status()).toBe(401);
  });

  it('do not outlive their client, whichever process hears of it first', async () => {
    const { tpp, server, other } = world;
    const token = await other.token('accounts');
    const { certificate } = other;
    expect((await ask(token, { certificate })).status).toBe(200);
    expect((await ask(token, { certificate, at: second })).status).toBe(200);
    await second.running.app.clients.setStatus(other.id, 'suspended');
    for (const at of [second, server]) {
      const statusAt = async () => (await ask(token, { certificate, at })).status;
      await expect.poll(statusAt, polling).toBe(401);
    }
    await server.running.app.clients.setStatus(other.id, 'active');
    expect((await ask(await tpp.token('accounts'))).status).toBe(200);
  });

  it('are not asked for by who asks too often', async () => {
    const token = await world.tpp.token('accounts');
    const headers = { 'x-forwarded-for': '198.51.100.9' };
    const statuses: number[] = [];
    for (let i = 0; i < limit; i += 1) statuses.push((await ask(token, { headers })).status);
    expect(statuses).toEqual(Array(limit).fill(200));
    const refused = await ask(token, { headers });
    expect([refused.status, refused.body]).toEqual([429, { error: 'too_many_requests' }]);
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    expect((await ask(token)).status).toBe(200);
  });
});

describe('Envoy', () => {
  let world: ConsentServer;

  beforeAll(async () => {
    world = await startWorld({
      proxy: 'envoy',
      routes: [route({}), route({ path: '/payments', methods: ['POST'], scopes: ['payments'] })],
    });
  });

  async function check(method: string, target: string, token: string) {
    const secret = 'YzQ3ZjA5ODEyYjM0NTY3ODlhYmNkZWYwMTIzNDU2';
    const { certificatePem } = world.tpp.certificate;
    return askRaw(world.server, {
      url: `/edge/verify${target}`,
      method,
      headers: {
        host: 'api.gateway.example', // the caller's
        authorization: `Bearer ${token}`,
        'countersign-proxy-secret': secret,
        'ssl-client-cert': encodeURIComponent(certificatePem),
        'x-original-method': 'GET',
        'x-original-uri': '/accounts',
      },
    });
  }

  it('asks with the caller’s own method, path and host', async () => {
    const accounts = await world.tpp.token('accounts');
    const payments = await world.tpp.token('payments');
    const answer = await check('GET', '/accounts?x=1', accounts);
    expect(answer).toMatchObject({ status: 200, headers: { 'x-client-id': world.tpp.id } });
    expect(answer.headers['x-envoy-auth-headers-to-remove']).toBe(
      'x-user-id,x-consent-id,x-api-key-id',
    );
    expect((await check('POST', '/payments', payments)).status).toBe(200);
    expect((await check('POST', '/payments', accounts)).status).toBe(403);
    for (const target of ['', '/', '//accounts', '/x/../accounts', '/accounts;x', '/payments']) {
      expect([target, (await check('GET', target, accounts)).status]).toEqual([target, 403]);
    }
  });
});
