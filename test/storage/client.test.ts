import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  createStatementNames,
  openDatabase,
  type Database,
  type DatabaseConnection,
} from '../../src/database/client.ts';
import { startEmbeddedPostgres } from '../../src/database/embedded.ts';
import { isDatabaseUnavailable } from '../../src/database/unavailable.ts';
import { Problem } from '../../src/problem.ts';
import { testDatabase, type TestDatabase } from '../support/database.ts';
import { silentLogger } from '../support/silent-logger.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

let stored: TestDatabase;
let opened: Database[];

beforeEach(async () => {
  stored = await testDatabase();
  opened = [];
});

afterEach(async () => {
  await Promise.all(opened.map((database) => database.close()));
  await stored.close();
});

function open(connection: DatabaseConnection = stored.connection): Database {
  const database = openDatabase({
    connection,
    poolSize: 2,
    statementTimeoutMs: 300,
    connectTimeoutMs: 500,
    logger: silentLogger,
  });
  opened.push(database);
  return database;
}

const failure = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  );

/** The calls that a store may make. */
const calls = {
  ping: (database: Database) => database.ping(),
  model: ({ prisma }: Database) => prisma.client.findUnique({ where: { id: 'none' } }),
  raw: ({ prisma }: Database) => prisma.$queryRaw`SELECT 1 AS one`,
  transaction: ({ prisma }: Database) => prisma.$transaction((inside) => inside.client.findMany()),
} satisfies Record<string, (database: Database) => Promise<unknown>>;

/** Milliseconds after which a call must have failed: both timeouts of `open`, and air for a busy machine. */
const SOON_MS = 3_500;

async function expectUnavailable(work: Promise<unknown>): Promise<void> {
  const begun = performance.now();
  const error = await failure(work);
  expect({ error, unavailable: isDatabaseUnavailable(error) }).toMatchObject({ unavailable: true });
  expect(performance.now() - begun).toBeLessThan(SOON_MS);
}

describe('a database that answers', () => {
  it.each(Object.entries(calls))('serves %s', async (_name, call) => {
    await expect(call(open())).resolves.not.toThrow();
  });

  it('knows us by name and counts sessions', async () => {
    const database = open();
    const rows = await database.prisma
      .$queryRaw`SELECT current_setting('application_name') AS name`;
    expect(rows).toEqual([{ name: 'countersign' }]);
    expect(database.stats()).toEqual({ total: 1, idle: 1, waiting: 0 });
  });

  it('accepts a connection string', async () => {
    await expect(
      open({ connectionString: stored.connectionString }).ping(),
    ).resolves.toBeUndefined();
  });

  it('does not look away because of our own mistakes', async () => {
    const { prisma } = open();
    const client = { id: 'one', name: 'One', metadata: {} };
    await prisma.client.create({ data: client });
    const errors = await Promise.all([
      failure(prisma.client.create({ data: client })),
      failure(prisma.$queryRaw`SELECT nonsense`),
      failure(prisma.client.findUniqueOrThrow({ where: { id: 'none' } })),
    ]);
    expect(errors.map(isDatabaseUnavailable)).toEqual([false, false, false]);
    expect(isDatabaseUnavailable(new Problem('not_found'))).toBe(false);
    expect(isDatabaseUnavailable('ECONNREFUSED')).toBe(false);
  });
});

describe('a database that is away', () => {
  /** Accepts connections and says nothing. */
  let silent: Server;
  let accepted: Socket[];

  beforeEach(async () => {
    accepted = [];
    silent = createServer((socket) => accepted.push(socket)).listen(0, '127.0.0.1');
    await once(silent, 'listening');
  });

  afterEach(async () => {
    for (const socket of accepted) socket.destroy();
    silent.close();
    await once(silent, 'close');
  });

  function portOf(server: Server): number {
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  it.each(Object.entries(calls))('fails %s soon when nothing listens', async (_name, call) => {
    await expectUnavailable(call(open({ connectionString: 'postgresql://x@127.0.0.1:1/x' })));
    await expectUnavailable(call(open({ ...stored.connection, host: '/nowhere' })));
  });

  it.each(Object.entries(calls))('fails %s soon when nobody answers', async (_name, call) => {
    const database = open({
      connectionString: `postgresql://x@127.0.0.1:${String(portOf(silent))}/x`,
    });
    await expectUnavailable(call(database));
  });

  it('fails when the database does not exist', async () => {
    const missing = { ...stored.connection, database: 'missing' };
    await expectUnavailable(open(missing).prisma.client.findMany());
  });
});

describe('a database in trouble', () => {
  it('gives up a statement that takes too long', async () => {
    await expectUnavailable(open().prisma.$queryRaw`SELECT pg_sleep(30)::text`);
  });

  it('gives up waiting for a session when all are taken', async () => {
    const { prisma } = open();
    const release = Promise.withResolvers<undefined>();
    const taken = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>()];
    const holders = taken.map(({ resolve }) =>
      prisma.$transaction(async () => {
        resolve(undefined);
        await release.promise;
      }),
    );
    await Promise.all(taken.map(({ promise }) => promise));
    await expectUnavailable(prisma.client.findMany());
    release.resolve(undefined);
    await Promise.all(holders);
    await expect(prisma.client.findMany()).resolves.toEqual([]);
  });

  it('loses a session in a transaction and serves the next call', async () => {
    const { prisma } = open();
    const killer = open().prisma;
    const work = prisma.$transaction(async (inside) => {
      const [session] = await inside.$queryRaw<{ pid: number }[]>`SELECT pg_backend_pid() AS pid`;
      await killer.$queryRaw`SELECT pg_terminate_backend(${session?.pid}::int)`;
      await inside.client.findMany();
    });
    await expectUnavailable(work);
    await expect(prisma.client.findMany()).resolves.toEqual([]);
  });

  it('stops and comes back: calls fail soon, then work again', async () => {
    const temporary = await temporaryDirectory();
    const directory = join(temporary.path, 'database');
    const first = await startEmbeddedPostgres({ directory, logger: silentLogger });
    const database = open(first.connection);
    await Promise.all([database.ping(), database.ping()]); // two idle sessions to lose
    await first.stop();
    for (const name of ['ping', 'raw'] as const) await expectUnavailable(calls[name](database));

    const second = await startEmbeddedPostgres({ directory, logger: silentLogger });
    await expect(database.ping()).resolves.toBeUndefined();
    await database.close();
    opened.pop();
    await second.stop();
    await temporary.remove();
  });
});

it('statements get a name each, up to a limit', () => {
  const nameOf = createStatementNames(2);
  const names = ['a', 'b', 'c', 'a'].map((sql) => nameOf({ sql }));
  expect(names).toEqual(['countersign_0', 'countersign_1', '', 'countersign_0']);
});
