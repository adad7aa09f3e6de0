import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { createCustomerAgent } from '../support/customer-agent.ts';
import { databaseNetwork } from '../support/database-network.ts';
import type { DatabaseNetwork } from '../support/database-network.ts';
import { testDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { authorize, callbacks, discoverWeb } from '../support/journey.ts';
import { oauthClient, tokensOf } from '../support/oauth-client.ts';
import type { OAuthClient } from '../support/oauth-client.ts';
import { basic, post, send } from '../support/protocol.ts';
import type { Answer } from '../support/protocol.ts';
import { accountsApi, startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

const poolSize = 3;
const timeoutMs = 500;

let database: TestDatabase;
let network: DatabaseNetwork;
let server: AuthorizationServer;
/** A session of an operator's, past the network. */
let operator: pg.Client;
let web: OAuthClient;
let fetcher: typeof fetch;

beforeAll(async () => {
  database = await testDatabase();
  network = await databaseNetwork(database.connection);
  server = await startAuthorizationServer({
    environment: {
      DATABASE_URL: network.connectionString,
      COUNTERSIGN_DATABASE_TIMEOUT_MS: String(timeoutMs),
      COUNTERSIGN_DATABASE_POOL_SIZE: String(poolSize),
    },
  });
  operator = new pg.Client(database.connection);
  await operator.connect();
  fetcher = server.fetch();
  web = oauthClient(server, { id: 'web', redirectUri: callbacks.web, secret: server.secrets.web });
});

afterAll(async () => {
  await operator.end();
  await server.stop();
  await network.close();
  await database.close();
});

beforeEach(async () => {
  network.delay(() => 0);
  network.comeBack();
  await expectService();
});

const machineToken = () =>
  post(fetcher, `${server.issuer}/token`, {
    form: { grant_type: 'client_credentials', resource: accountsApi },
    headers: basic('web', server.secrets.web),
  });

const keys = () => send(fetcher, `${server.issuer}/jwks`);

async function newRefreshToken(): Promise<string> {
  const parameters = { redirect_uri: callbacks.web, scope: 'openid accounts' };
  const authorization = await authorize(server, await discoverWeb(server), { parameters });
  return tokensOf(await web.exchange(authorization)).refresh;
}

/** The whole service, as soon as it is there again by itself. */
async function expectService(): Promise<void> {
  await vi.waitFor(
    async () => {
      expect((await fetch(`${server.operationsOrigin}/readyz`)).status).toBe(200);
      expect((await web.refresh(await newRefreshToken())).status).toBe(200);
    },
    { timeout: 15_000, interval: 50 },
  );
}

/** Served, or refused for now in words that are ours. */
function expectServedOrRefused(answers: readonly Answer[]): void {
  for (const { status, body, headers, text } of answers) {
    if (status === 200) continue;
    expect([status, body['error']]).toEqual([503, 'temporarily_unavailable']);
    expect(headers.get('retry-after')).toBe('5');
    expect(text).not.toMatch(/prisma|postgres|ECONN|\bat \/|node_modules|timeout|stack/i);
  }
}

const many = (count: number, act: () => Promise<Answer>) =>
  Promise.all(Array.from({ length: count }, act));

const statuses = (answers: readonly Answer[]) => new Set(answers.map(({ status }) => status));

const within = { timeout: 15_000, interval: 50 };

/** How often the log has it. */
const timesTold = async (words: string) =>
  (await server.log.raw()).split(`Changes of other processes ${words}`).length - 1;

describe('A database that is slow', () => {
  it('makes answers slow, and no worse', async () => {
    const token = await newRefreshToken();
    network.delay(() => 60);
    const answers = await many(poolSize, () => web.refresh(token));
    expect(statuses(answers)).toEqual(new Set([200]));
  });

  it('slower than we wait makes them a clean refusal in time', async () => {
    const token = await newRefreshToken();
    network.delay(() => 3000);
    const start = performance.now();
    const answers = await many(20, () => web.refresh(token));
    expect(performance.now() - start).toBeLessThan(6 * (timeoutMs + 2000));
    expectServedOrRefused(answers);
    expect(statuses(answers)).toEqual(new Set([503]));
    expect(statuses(await many(20, keys))).toEqual(new Set([200]));
  });
});

describe('A table that somebody locks', () => {
  it('fills the pool and refuses who needs it; the rest is served, and all are when the lock is gone', async () => {
    const token = await newRefreshToken();
    // While changes are not heard clients are remembered for a second only: that is not what this is about.
    await vi.waitFor(async () => {
      expect(await timesTold('are heard again')).toBe(await timesTold('are not heard'));
    }, within);
    const losses = await timesTold('are not heard');
    expect((await machineToken()).status).toBe(200);
    await operator.query('BEGIN; LOCK TABLE artifacts IN ACCESS EXCLUSIVE MODE');
    try {
      const waiting = many(30, () => web.refresh(token));
      expect(statuses(await many(20, keys))).toEqual(new Set([200]));
      const served = statuses(await many(20, machineToken));
      const answers = await waiting;
      expectServedOrRefused(answers);
      expect(statuses(answers)).toEqual(new Set([503]));
      const isAllHeard = (await timesTold('are not heard')) === losses;
      expect(isAllHeard ? served : new Set([200])).toEqual(new Set([200]));
    } finally {
      await operator.query('ROLLBACK');
    }
    expect((await web.refresh(token)).status).toBe(200);
  });

  it('for a moment only is waited for', async () => {
    const token = await newRefreshToken();
    await operator.query('BEGIN; LOCK TABLE artifacts IN ACCESS EXCLUSIVE MODE');
    const waiting = many(poolSize, () => web.refresh(token));
    await vi.waitFor(
      async () => {
        const { rows } = await operator.query('SELECT 1 FROM pg_locks WHERE NOT granted');
        expect(rows.length).toBeGreaterThan(0);
      },
      { timeout: 10_000 },
    );
    await operator.query('ROLLBACK');
    expect(statuses(await waiting)).toEqual(new Set([200]));
  });
});

describe('A pool that is full', () => {
  it('makes requests wait their turn', async () => {
    const token = await newRefreshToken();
    const answers = await many(4 * poolSize, () => web.refresh(token));
    expect(statuses(answers)).toEqual(new Set([200]));
  });

  it('refuses who would wait too long, and serves the others', async () => {
    const token = await newRefreshToken();
    network.delay(() => 20);
    const answers = await many(200, () => web.refresh(token));
    expectServedOrRefused(answers);
    expect(statuses(answers)).toEqual(new Set([200, 503]));
  });
});

describe('A database that refuses', () => {
  const allow = (name: string, isAllowed: boolean) =>
    asMaintenance(`ALTER DATABASE ${name} WITH ALLOW_CONNECTIONS ${String(isAllowed)}`);

  async function asMaintenance(statement: string): Promise<void> {
    const client = new pg.Client({ ...database.connection, database: 'postgres' });
    await client.connect();
    try {
      await client.query(statement);
    } finally {
      await client.end();
    }
  }

  const endSessions = () =>
    operator.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = current_database() AND pid <> pg_backend_pid()`,
    );

  it('sessions is a clean refusal, and service when it takes them again', async () => {
    const token = await newRefreshToken();
    const name = database.connection.database;
    await allow(name, false);
    try {
      await endSessions();
      const answers = await many(20, () => web.refresh(token));
      expectServedOrRefused(answers);
      expect(statuses(answers)).toEqual(new Set([503]));
      const page = await createCustomerAgent(server).open(`${server.issuer}/authorize`);
      expect(page.status).toBeLessThan(504);
      expect(page.html).not.toMatch(/prisma|postgres|node_modules/i);
    } finally {
      await allow(name, true);
    }
    await expectService();
    expect((await web.refresh(token)).status).toBe(200);
  });

  it('our sessions in the middle of requests loses none that it answered', async () => {
    const token = await newRefreshToken();
    const running = many(40, () => web.refresh(token));
    await endSessions();
    await endSessions();
    expectServedOrRefused(await running);
    expect((await web.refresh(token)).status).toBe(200);
  });

  it('connections altogether is a clean refusal', async () => {
    const token = await newRefreshToken();
    network.goDown();
    const answers = await many(20, () => web.refresh(token));
    expect(statuses(answers)).toEqual(new Set([503]));
    expectServedOrRefused(answers);
  });
});
