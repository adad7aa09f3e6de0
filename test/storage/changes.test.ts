import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { createClientStore } from '../../src/clients/client-store.ts';
import type { ClientStore } from '../../src/clients/client-store.ts';
import { systemClock } from '../../src/clock.ts';
import { createEndOfConsents } from '../../src/consents/consents-of-client-store.ts';
import { createChanges } from '../../src/database/changes.ts';
import type { Changes } from '../../src/database/changes.ts';
import { openDatabase } from '../../src/database/client.ts';
import type { Database } from '../../src/database/client.ts';
import { databaseNetwork } from '../support/database-network.ts';
import type { DatabaseNetwork } from '../support/database-network.ts';
import { testDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { silentLogger } from '../support/silent-logger.ts';

/** What one process has: its sessions, what it hears, and what it remembers. */
interface Process {
  database: Database;
  changes: Changes;
  clients: ClientStore;
  close(): Promise<void>;
}

let stored: TestDatabase;
/** Only the listening connection of `reader` leads through it. */
let network: DatabaseNetwork;
let writer: Process;
let reader: Process;
let operator: pg.Client;
/** Ids of clients that `reader` was told to forget. */
const heard: (string | undefined)[] = [];

/** Within which every process must see a change. */
const aSecond = { timeout: 1000, interval: 10 };

function startProcess(connectionString: string): Process {
  const database = openDatabase({
    connection: stored.connection,
    poolSize: 2,
    statementTimeoutMs: 5000,
    connectTimeoutMs: 5000,
    logger: silentLogger,
  });
  const changes = createChanges({
    connection: { connectionString },
    logger: silentLogger,
    retryMs: 50,
  });
  const digestKey = Buffer.alloc(32, 1);
  const endConsents = createEndOfConsents(systemClock);
  const { prisma } = database;
  const clients = createClientStore({ prisma, endConsents, digestKey, changes });
  changes.start();
  return {
    database,
    changes,
    clients,
    async close() {
      await changes.close();
      await database.close();
    },
  };
}

beforeAll(async () => {
  stored = await testDatabase();
  network = await databaseNetwork(stored.connection);
  writer = startProcess(stored.connectionString);
  reader = startProcess(network.connectionString);
  reader.changes.subscribe('clients', (id) => heard.push(id));
  operator = new pg.Client(stored.connection);
  await operator.connect();
});

afterAll(async () => {
  await Promise.all([writer.close(), reader.close(), operator.end()]);
  await network.close();
  await stored.close();
});

const draft = (name: string) => ({
  metadata: {
    client_id: 'tpp',
    client_name: name,
    grant_types: ['client_credentials'],
    token_endpoint_auth_method: 'tls_client_auth',
    tls_client_auth_subject_dn: 'CN=tpp',
  } as Parameters<ClientStore['save']>[0]['metadata'],
  permissions: {},
  source: 'operator' as const,
});

const nameSeen = async () => (await reader.clients.find('tpp'))?.name;

async function expectHearing(): Promise<void> {
  await vi.waitFor(
    () => {
      expect([writer, reader].map(({ changes }) => changes.isLive())).toEqual([true, true]);
    },
    { timeout: 10_000 }, // twice the longest pause between two attempts
  );
}

/** What was announced before has been heard once this was: messages keep their order. */
async function expectAllHeard(): Promise<void> {
  const mark = randomUUID();
  await operator.query(`SELECT pg_notify('countersign_changes', 'clients:${mark}')`);
  await vi.waitFor(() => {
    expect(heard).toContain(mark);
  }, aSecond);
}

async function expectName(name: string): Promise<void> {
  expect(await nameSeen()).toBe(name);
}

async function expectSoon(expectation: () => Promise<void>): Promise<void> {
  await vi.waitFor(expectation, aSecond);
}

beforeEach(async () => {
  await expectHearing();
  await writer.clients.save(draft('before'));
  await expectAllHeard();
  await expectName('before');
});

afterEach(async () => {
  network.comeBack();
  await expectHearing();
});

type Change = [string, () => Promise<unknown>, () => Promise<void>];

const byProcess: Change[] = [
  [
    'changed',
    () => writer.clients.setMetadata(draft('after').metadata),
    async () => {
      expect(await nameSeen()).toBe('after');
    },
  ],
  [
    'suspended',
    () => writer.clients.setStatus('tpp', 'suspended'),
    async () => {
      expect(await reader.clients.metadataOf('tpp')).toBeUndefined();
    },
  ],
  [
    'deleted',
    () => writer.clients.delete('tpp'),
    async () => {
      expect(await reader.clients.find('tpp')).toBeUndefined();
    },
  ],
];

const bySql: Change[] = [
  [
    'changed',
    () => operator.query("UPDATE clients SET name = 'after' WHERE id = 'tpp'"),
    async () => {
      expect(await nameSeen()).toBe('after');
    },
  ],
  [
    'suspended',
    () => operator.query("UPDATE clients SET status = 'suspended' WHERE id = 'tpp'"),
    async () => {
      expect(await reader.clients.metadataOf('tpp')).toBeUndefined();
    },
  ],
  [
    'deleted',
    () => operator.query("DELETE FROM clients WHERE id = 'tpp'"),
    async () => {
      expect(await reader.clients.find('tpp')).toBeUndefined();
    },
  ],
];

/** Changes the row as nobody can hear it: what is seen afterwards tells what is remembered. */
async function changeSilently(name: string): Promise<void> {
  await operator.query('SET session_replication_role = replica'); // triggers don't fire
  await operator.query('UPDATE clients SET name = $1', [name]);
  await operator.query('RESET session_replication_role');
}

describe('A client that is remembered', () => {
  it('is not read again while nothing is heard of it', async () => {
    await changeSilently('unheard of');
    expect(await nameSeen()).toBe('before');
  });

  it.each(byProcess)('and %s by another process is seen so within a second', async (...change) => {
    const [, act, expectSeen] = change;
    await act();
    await expectSoon(expectSeen);
  });

  it.each(bySql)('and %s by plain SQL is seen so within a second', async (...change) => {
    const [, act, expectSeen] = change;
    await act();
    await expectSoon(expectSeen);
  });

  it('and changed in a transaction is seen when that is committed, and not when it is rolled back', async () => {
    await operator.query("BEGIN; UPDATE clients SET name = 'undone'; ROLLBACK");
    await operator.query("BEGIN; UPDATE clients SET name = 'done'; COMMIT");
    await vi.waitFor(async () => {
      expect(await nameSeen()).toBe('done');
    }, aSecond);
  });
});

describe('A process that can’t hear', () => {
  it.each([...byProcess, ...bySql])(
    'sees a client that is %s within a second all the same',
    async (...change) => {
      const [, act, expectSeen] = change;
      network.goDown();
      await vi.waitFor(
        () => {
          expect(reader.changes.isLive()).toBe(false);
        },
        { timeout: 10_000 },
      );
      expect(await nameSeen()).toBe('before');
      await act();
      await expectSoon(expectSeen);
    },
  );

  it('knows within about two seconds that nothing comes any more', async () => {
    network.delay(() => 3_600_000);
    await vi.waitFor(
      () => {
        expect(reader.changes.isLive()).toBe(false);
      },
      { timeout: 4000, interval: 10 },
    );
    network.delay(() => 0);
    network.cut();
  });

  it('forgets everything once it hears again: it can’t know what it missed', async () => {
    await changeSilently('missed');
    expect(await nameSeen()).toBe('before');
    network.cut();
    await vi.waitFor(
      async () => {
        expect(await nameSeen()).toBe('missed');
      },
      { timeout: 2000, interval: 10 },
    );
    await expectHearing();
    expect(await nameSeen()).toBe('missed');
    await changeSilently('unheard of');
    expect(await nameSeen()).toBe('missed');
  });
});
