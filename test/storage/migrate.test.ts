import { cp, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { migrate, pendingMigrations } from '../../src/database/migrate.ts';
import { testDatabase, type TestDatabase } from '../support/database.ts';
import { silentLogger } from '../support/silent-logger.ts';
import { temporaryDirectory, type TemporaryDirectory } from '../support/temporary-directory.ts';

const shipped = fileURLToPath(new URL('../../prisma/migrations', import.meta.url));

let database: TestDatabase;
let temporary: TemporaryDirectory;
let directory: string;

beforeEach(async () => {
  database = await testDatabase('template0');
  temporary = await temporaryDirectory();
  directory = join(temporary.path, 'migrations');
  await mkdir(directory);
});

afterEach(async () => {
  await database.close();
  await temporary.remove();
});

async function write(name: string, sql: string): Promise<void> {
  await mkdir(join(directory, name), { recursive: true });
  await writeFile(join(directory, name, 'migration.sql'), sql);
}

const run = (from = directory, lockTimeoutMs = 20_000) =>
  migrate({
    connection: database.connection,
    directory: from,
    lockTimeoutMs,
    logger: silentLogger,
  });

const pending = () => pendingMigrations({ connection: database.connection, directory });

async function withSession<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client(database.connection);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

async function column(sql: string): Promise<unknown[]> {
  const { rows } = await withSession((client) =>
    client.query<unknown[]>({ text: sql, rowMode: 'array' }),
  );
  return rows.map(([value]) => value);
}

const recorded = () =>
  column('SELECT migration_name FROM _prisma_migrations ORDER BY migration_name');
const tables = () =>
  column(`SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename`);

describe('migrations', () => {
  it('that are shipped build the schema on an empty database', async () => {
    const applied = await run(shipped);
    expect(applied).toContain('20261122000000_first');
    expect(await tables()).toEqual(
      expect.arrayContaining(['artifacts', 'clients', 'audit_events']),
    );
    expect(await run(shipped)).toEqual([]);
  });

  it('are applied once each, in order, by processes that start together', async () => {
    await write('1_table', 'CREATE TABLE counted (id int)');
    await write('2_row', 'INSERT INTO counted VALUES (1); SELECT pg_sleep(0.05)');
    await write('3_row', 'INSERT INTO counted VALUES (2)');
    const applied = await Promise.all(Array.from({ length: 8 }, () => run()));
    expect(applied.flat().sort()).toEqual(['1_table', '2_row', '3_row']);
    expect(await column('SELECT id FROM counted ORDER BY id')).toEqual([1, 2]);
    expect(await recorded()).toEqual(['1_table', '2_row', '3_row']);
  });

  it('that fail leave nothing of themselves, and work once repaired', async () => {
    await write('1_good', 'CREATE TABLE good (id int)');
    await write('2_bad', 'CREATE TABLE half (id int); SELECT 1 / 0');
    await expect(run()).rejects.toMatchObject({
      code: 'migration_refused',
      detail: 'Migration 2_bad failed and was rolled back: division by zero',
    });
    expect(await recorded()).toEqual(['1_good']);
    expect(await tables()).toEqual(['_prisma_migrations', 'good']);

    await write('2_bad', 'CREATE TABLE half (id int)');
    expect(await run()).toEqual(['2_bad']);
  });

  it('are listed while they are pending, without touching the database', async () => {
    await write('1_table', 'CREATE TABLE first (id int)');
    expect(await pending()).toEqual(['1_table']);
    expect(await tables()).toEqual([]);
    await run();
    await write('2_table', 'CREATE TABLE second (id int)');
    expect(await pending()).toEqual(['2_table']);
  });
});

describe('a database is refused', () => {
  it('when an applied migration was edited', async () => {
    await write('1_table', 'CREATE TABLE first (id int)');
    await run();
    await write('1_table', 'CREATE TABLE first (id bigint)');
    const refusal = { code: 'migration_refused', detail: /1_table was edited/u };
    await expect(run()).rejects.toMatchObject({
      code: refusal.code,
      detail: expect.stringMatching(refusal.detail) as string,
    });
    await expect(pending()).rejects.toMatchObject({ code: refusal.code });
  });

  it('when it has a migration in the middle that this version does not know', async () => {
    await write('1_table', 'CREATE TABLE first (id int)');
    await write('2_other', 'CREATE TABLE other (id int)');
    await write('3_table', 'CREATE TABLE third (id int)');
    await run();
    await rm(join(directory, '2_other'), { recursive: true });
    await expect(run()).rejects.toMatchObject({
      code: 'migration_refused',
      detail: 'The database has migration 2_other, which this version does not know.',
    });
  });

  it('when a migration is recorded as failed', async () => {
    await write('1_table', 'CREATE TABLE first (id int)');
    await run();
    await column('UPDATE _prisma_migrations SET finished_at = NULL');
    await expect(run()).rejects.toMatchObject({
      code: 'migration_refused',
      detail: expect.stringContaining('prisma migrate resolve') as string,
    });
  });

  it('when another process does not let go of the lock', async () => {
    await write('1_table', 'CREATE TABLE first (id int)');
    await withSession(async (holder) => {
      await holder.query('SELECT pg_advisory_lock(72707369)');
      await expect(run(directory, 100)).rejects.toMatchObject({
        code: 'migration_refused',
        detail: 'Another process has been migrating for more than 100 ms.',
      });
    });
    expect(await tables()).toEqual([]);
  });
});

describe('a database that is newer than this version', () => {
  it('is used as it is', async () => {
    await write('1_table', 'CREATE TABLE first (id int)');
    await cp(directory, join(temporary.path, 'old'), { recursive: true });
    await write('2_addition', 'ALTER TABLE first ADD COLUMN note text');
    await run();
    expect(await run(join(temporary.path, 'old'))).toEqual([]);
    expect(await recorded()).toEqual(['1_table', '2_addition']);
  });
});

it('an unreachable database is reported as such', async () => {
  const connection = { ...database.connection, host: temporary.path };
  await expect(
    migrate({ connection, directory, lockTimeoutMs: 100, logger: silentLogger }),
  ).rejects.toMatchObject({ code: 'database_unavailable' });
});
