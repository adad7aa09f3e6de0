import { once } from 'node:events';
import { createServer, createConnection } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import * as openid from 'openid-client';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { testDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { ignored, lineOf, plainPairs } from '../support/machine-tokens.ts';
import { basic, post, send } from '../support/protocol.ts';
import type { Answer } from '../support/protocol.ts';
import { startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { clientOf } from '../support/tokens.ts';

/** A network between the server and its database that can fail in three ways. */
async function createNetwork({ host, port }: TestDatabase['connection']) {
  const sockets = new Set<Socket>();
  let state: 'up' | 'down' | 'silent' = 'up';
  const proxy = createServer((client) => {
    sockets.add(client);
    client.on('error', () => undefined).on('close', () => sockets.delete(client));
    if (state === 'down') {
      client.destroy();
      return;
    }
    const database = createConnection(`${host}/.s.PGSQL.${String(port)}`);
    sockets.add(database);
    database
      .on('error', () => undefined)
      .on('close', () => {
        sockets.delete(database);
        client.destroy();
      });
    client.on('close', () => database.destroy());
    client.on('data', (bytes) => state === 'silent' || database.write(bytes));
    database.on('data', (bytes) => state === 'silent' || client.write(bytes));
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  function cut(): void {
    for (const socket of sockets) socket.destroy();
  }
  return {
    port: (proxy.address() as AddressInfo).port,
    /** Connections break, and new ones too. */
    goDown() {
      state = 'down';
      cut();
    },
    /** Connections stay, and nothing comes. */
    goSilent() {
      state = 'silent';
    },
    comeBack() {
      if (state === 'silent') cut();
      state = 'up';
    },
    /** Connections break; new ones work: a failover. */
    cut,
    close() {
      cut();
      proxy.close();
    },
  };
}

let database: TestDatabase;
let network: Awaited<ReturnType<typeof createNetwork>>;
let server: AuthorizationServer;
/** Seconds that a request may take at most while the database is away: its timeout, twice, and some room. */
const patience = 4;

beforeAll(async () => {
  database = await testDatabase();
  network = await createNetwork(database.connection);
  const { user, database: name } = database.connection;
  server = await startAuthorizationServer({
    environment: {
      DATABASE_URL: `postgresql://${user}@127.0.0.1:${String(network.port)}/${name}`,
      COUNTERSIGN_DATABASE_TIMEOUT_MS: '500',
    },
  });
});

afterEach(() => {
  network.comeBack();
});

afterAll(async () => {
  await server.stop();
  network.close();
  await database.close();
});

const token = () =>
  post(server.fetch(), `${server.issuer}/token`, {
    form: { grant_type: 'client_credentials', scope: 'accounts' },
    headers: basic('web', server.secrets.web),
  });

const introspection = (value: string) =>
  post(server.fetch(), `${server.issuer}/introspect`, {
    form: { token: value },
    headers: basic('accounts-rs', server.secrets['accounts-rs']),
  });

function authorize(accept: string): Promise<Answer> {
  const url = new URL(`${server.issuer}/authorize`);
  url.search = new URLSearchParams({
    client_id: 'web',
    redirect_uri: 'https://web.example.com/callback',
    response_type: 'code',
    scope: 'openid',
    code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
    code_challenge_method: 'S256',
  }).toString();
  return send(server.fetch(), url.href, { headers: { accept } });
}

/** Of a scrape, with no probe before it. */
async function databaseUp(): Promise<string | undefined> {
  const { text } = await send(fetch, `${server.operationsOrigin}/metrics`);
  return /^countersign_database_up (\d)$/m.exec(text)?.[1];
}

const readiness = () => send(fetch, `${server.operationsOrigin}/readyz`);

/** What is promised while the database is away. */
async function expectCleanFailure(answer: Answer): Promise<void> {
  expect([answer.status, answer.body['error']]).toEqual([503, 'temporarily_unavailable']);
  expect(answer.headers.get('retry-after')).toBe('5');
  expect(answer.headers.get('cache-control')).toBe('no-store');
  expect(answer.text).not.toMatch(/prisma|postgres|ECONN|\bat \/|node_modules|5432|stack/i);
  const lines = await server.log.lines();
  const own = lines.filter((line) => line['requestId'] === answer.headers.get('x-request-id'));
  // Once, and as what it is: nobody is at fault.
  expect(own.filter(({ level }) => level !== 'info').map(({ level }) => level)).toEqual(['warn']);
}

async function within<T>(work: Promise<T>): Promise<T> {
  const start = performance.now();
  const result = await work;
  expect((performance.now() - start) / 1000).toBeLessThan(patience);
  return result;
}

/** Waits for what comes by itself, without a fixed time. */
async function expectRecovery(): Promise<void> {
  const soon = { timeout: 15_000, interval: 100 };
  await vi.waitFor(async () => {
    expect((await readiness()).status).toBe(200);
    expect((await token()).status).toBe(200);
    expect((await authorize('text/html')).status).toBe(303);
  }, soon);
}

async function expectOutage(jwt: string): Promise<void> {
  // What was read within the last second is still remembered.
  const soon = { timeout: 25_000, interval: 100 };
  await vi.waitFor(async () => {
    expect((await token()).status).toBe(503);
    expect((await introspection(jwt)).status).toBe(503);
    expect((await readiness()).status).toBe(503);
  }, soon);
  await expectCleanFailure(await within(token()));
  await expectCleanFailure(await within(introspection(jwt)));
  await expectCleanFailure(await within(authorize('application/json')));
  const page = await within(authorize('text/html'));
  expect([page.status, page.headers.get('content-type')]).toEqual([
    503,
    'text/html; charset=utf-8',
  ]);
  expect(page.text).not.toMatch(/prisma|postgres|ECONN|node_modules/i);
  expect(JSON.parse((await readiness()).text)).toMatchObject({
    ready: false,
    checks: { database: 'unavailable' },
  });
  expect((await send(fetch, `${server.operationsOrigin}/livez`)).status).toBe(200);
}

async function expectKeysAndMetadata(): Promise<void> {
  for (const path of ['/jwks', '/.well-known/openid-configuration']) {
    expect((await within(send(server.fetch(), server.issuer + path))).status).toBe(200);
  }
}

it('A machine without its token is told of alike, whichever way it was about to get it', async () => {
  network.goDown();
  const refusals = async () => {
    const { text } = await send(fetch, `${server.operationsOrigin}/metrics`);
    const line = /^countersign_refusals_total\{endpoint="token",error="server_error"\} (\d+)/m;
    return Number(line.exec(text)?.[1] ?? 0);
  };
  const before = await refusals();
  const lines = [];
  for (const more of [[], [ignored]]) {
    const form = [...plainPairs('tpp'), ...more];
    const answer = await post(server.fetch(server.tpp), `${server.mtlsOrigin}/token`, { form });
    await expectCleanFailure(answer);
    lines.push(await lineOf(server, answer.headers.get('x-request-id')));
  }
  expect(lines[0]).toMatchObject({ route: 'token', status: 503 });
  expect(lines[0]).toEqual(lines[1]);
  expect((await refusals()) - before).toBe(2);
});

describe('When the database goes away', () => {
  it.each(['goDown', 'goSilent'] as const)(
    'requests fail cleanly and quickly, keys stay, and service resumes by itself: %s',
    { timeout: 60_000 },
    async (way) => {
      await expectRecovery();
      const configuration = await clientOf(server, 'web');
      const jwt = await openid.clientCredentialsGrant(configuration, { scope: 'accounts' });
      await vi.waitFor(
        async () => {
          expect(await databaseUp()).toBe('1');
        },
        { timeout: 10_000 },
      );
      network[way]();
      await vi.waitFor(
        async () => {
          expect(await databaseUp()).toBe('0');
        },
        { timeout: 5000, interval: 100 },
      );
      await expectOutage(jwt.access_token);
      await expectKeysAndMetadata();
      network.comeBack();
      await expectRecovery();
      expect((await introspection(jwt.access_token)).body['active']).toBe(true);
    },
  );

  it('a failover that only breaks connections is over with the next request', async () => {
    await expectRecovery();
    network.cut();
    await expectRecovery();
  });
});
