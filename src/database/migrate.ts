import { createHash, randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import type { Logger } from '../observability/logger.ts';
import { Problem } from '../problem.ts';
import { connectionConfig, type DatabaseConnection } from './client.ts';

/** Where the migrations are and where they go. */
export interface MigrateOptions {
  connection: DatabaseConnection;
  /** Folder with one folder per migration, in Prisma's layout. */
  directory: string;
  /** Time to wait for another process that migrates, and for each table's lock. */
  lockTimeoutMs: number;
  logger: Logger;
}

interface Migration {
  name: string;
  sql: string;
  /** SHA-256 of the file, hex, as Prisma records it. */
  checksum: string;
}

interface Row {
  migration_name: string;
  checksum: string;
  finished_at: Date | null;
}

/** The key that Prisma's engine locks: its CLI and this runner exclude each other. */
const MIGRATION_LOCK = 72707369;
const CONNECT_TIMEOUT_MS = 10_000;
const LOCK_NOT_AVAILABLE = '55P03';

/** Prisma's table, column by column. */
const CREATE_TABLE = `CREATE TABLE IF NOT EXISTS _prisma_migrations (
  id varchar(36) PRIMARY KEY NOT NULL,
  checksum varchar(64) NOT NULL,
  finished_at timestamptz,
  migration_name varchar(255) NOT NULL,
  logs text,
  rolled_back_at timestamptz,
  started_at timestamptz NOT NULL DEFAULT now(),
  applied_steps_count integer NOT NULL DEFAULT 0
)`;
const SELECT_ROWS = `SELECT migration_name, checksum, finished_at FROM _prisma_migrations
  WHERE rolled_back_at IS NULL ORDER BY migration_name`;
const INSERT_ROW = `INSERT INTO _prisma_migrations
  (id, checksum, migration_name, started_at, finished_at, applied_steps_count)
  VALUES ($1, $2, $3, now(), clock_timestamp(), 1)`;

async function readMigrations(directory: string): Promise<Migration[]> {
  const entries = await readdir(directory, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  return Promise.all(
    names.sort().map(async (name) => {
      const bytes = await readFile(join(directory, name, 'migration.sql'));
      const checksum = createHash('sha256').update(bytes).digest('hex');
      return { name, sql: bytes.toString('utf8'), checksum };
    }),
  );
}

function refuse(detail: string, cause?: unknown): never {
  throw new Problem('migration_refused', { detail, cause });
}

function checkRow(row: Row, known: Migration[]): void {
  const name = row.migration_name;
  if (row.finished_at === null) {
    refuse(`Migration ${name} failed before; resolve it with "prisma migrate resolve".`);
  }
  const migration = known.find((candidate) => candidate.name === name);
  if (migration !== undefined) {
    if (migration.checksum !== row.checksum)
      refuse(`Migration ${name} was edited after it was applied.`);
    return;
  }
  const newest = known.at(-1)?.name ?? '';
  if (name <= newest)
    refuse(`The database has migration ${name}, which this version does not know.`);
}

/**
 * Compares the database's rows with our files. Migrations newer than all of ours are fine: a release only adds to the
 * schema, so that the release before it runs on during a rolling upgrade (docs/operations.md).
 */
function compare(rows: Row[], known: Migration[]): { pending: Migration[]; newer: string[] } {
  for (const row of rows) checkRow(row, known);
  const applied = new Set(rows.map((row) => row.migration_name));
  const knownNames = new Set(known.map((migration) => migration.name));
  return {
    pending: known.filter(({ name }) => !applied.has(name)),
    newer: [...applied].filter((name) => !knownNames.has(name)),
  };
}

async function withClient<T>(
  connection: DatabaseConnection,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({
    ...connectionConfig(connection),
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  });
  client.on('error', () => undefined); // the statement that runs, or the next one, fails with it
  try {
    await client.connect();
  } catch (cause) {
    throw new Problem('database_unavailable', {
      detail: cause instanceof Error ? cause.message : String(cause),
      cause,
    });
  }
  try {
    return await work(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function apply(client: pg.Client, migration: Migration): Promise<void> {
  try {
    await client.query(migration.sql); // without values: several statements in the open transaction
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    refuse(`Migration ${migration.name} failed and was rolled back: ${reason}`, cause);
  }
  await client.query(INSERT_ROW, [randomUUID(), migration.checksum, migration.name]);
}

async function lock(client: pg.Client, lockTimeoutMs: number): Promise<void> {
  const timeout = String(Math.trunc(lockTimeoutMs));
  await client.query(`SET LOCAL lock_timeout = ${timeout}; SET LOCAL statement_timeout = 0`);
  try {
    // Of the transaction, not of the session: that also holds behind PgBouncer.
    await client.query('SELECT pg_advisory_xact_lock($1)', [MIGRATION_LOCK]);
  } catch (cause) {
    if ((cause as { code?: string }).code !== LOCK_NOT_AVAILABLE) throw cause;
    refuse(`Another process has been migrating for more than ${timeout} ms.`, cause);
  }
}

/** Applies the oldest pending migration in one transaction; its name, or undefined when there was none. */
async function step(
  client: pg.Client,
  known: Migration[],
  { lockTimeoutMs, logger }: MigrateOptions,
): Promise<string | undefined> {
  await client.query('BEGIN');
  try {
    await lock(client, lockTimeoutMs);
    await client.query(CREATE_TABLE);
    const { rows } = await client.query<Row>(SELECT_ROWS);
    const { pending, newer } = compare(rows, known);
    const next = pending[0];
    if (next !== undefined) await apply(client, next);
    else if (newer.length > 0) logger.warn('The database is newer than this version', { newer });
    await client.query('COMMIT');
    return next?.name;
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

/**
 * Brings the schema up to date. Each migration is one transaction with the row that records it, so a crash leaves
 * nothing behind, and processes that start together apply each one once. The files must contain no BEGIN or COMMIT.
 * @returns names of the migrations that this call applied
 * @throws Problem migration_refused (failed, edited or unknown migration), database_unavailable
 */
export async function migrate(options: MigrateOptions): Promise<string[]> {
  const known = await readMigrations(options.directory);
  return withClient(options.connection, async (client) => {
    const applied: string[] = [];
    for (;;) {
      const name = await step(client, known, options);
      if (name === undefined) return applied;
      options.logger.info('Migration applied', { migration: name });
      applied.push(name);
    }
  });
}

/**
 * Names of the migrations that `migrate` would apply; changes nothing.
 * @throws Problem as `migrate` does
 */
export async function pendingMigrations(
  options: Pick<MigrateOptions, 'connection' | 'directory'>,
): Promise<string[]> {
  const known = await readMigrations(options.directory);
  return withClient(options.connection, async (client) => {
    const table = await client.query<{ found: boolean }>(
      `SELECT to_regclass('_prisma_migrations') IS NOT NULL AS found`,
    );
    const rows = table.rows[0]?.found === true ? (await client.query<Row>(SELECT_ROWS)).rows : [];
    return compare(rows, known).pending.map(({ name }) => name);
  });
}
