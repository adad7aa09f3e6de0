import path from 'node:path';
import type { Configuration } from '../config/schema.ts';
import { createChanges } from '../database/changes.ts';
import type { Changes } from '../database/changes.ts';
import { openDatabase } from '../database/client.ts';
import type { Database, DatabaseConnection } from '../database/client.ts';
import { startEmbeddedPostgres } from '../database/embedded.ts';
import { migrate, pendingMigrations } from '../database/migrate.ts';
import type { Logger } from '../observability/logger.ts';
import { Problem } from '../problem.ts';
import { keyRingProblems } from '../signing-keys/key-ring.ts';
import { runAll } from './run-all.ts';

/** The open database and how to leave it. */
export interface OpenDatabase {
  database: Database;
  /** Not listening yet: `start` makes it. */
  changes: Changes;
  /** Names of the migrations that this start applied. */
  applied: readonly string[];
  /** Where the embedded database keeps its data; undefined for a database of the operator's. */
  embeddedDirectory: string | undefined;
  close(): Promise<void>;
}

/** The folder of the migrations, beside the source. */
const migrationsDirectory = path.resolve(import.meta.dirname, '../../prisma/migrations');

const migrationLockTimeoutMs = 60_000;

/** Connects to DATABASE_URL, or to the embedded database, and brings its schema up to date. */
export async function openConfiguredDatabase(
  configuration: Configuration,
  logger: Logger,
): Promise<OpenDatabase> {
  const server = await connectionOf(configuration, logger);
  try {
    const applied = await prepareSchema(configuration, server.connection, logger);
    const database = openDatabase({
      connection: server.connection,
      poolSize: configuration.databasePoolSize,
      statementTimeoutMs: configuration.databaseTimeoutMs,
      connectTimeoutMs: configuration.databaseTimeoutMs,
      logger,
    });
    const changes = createChanges({ connection: server.connection, logger, retryMs: 500 });
    return {
      database,
      changes,
      applied,
      embeddedDirectory: server.directory,
      async close() {
        await runAll([() => changes.close(), () => database.close(), () => server.stop()]);
      },
    };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

interface Server {
  connection: DatabaseConnection;
  directory: string | undefined;
  stop: () => Promise<void>;
}

/** Where the database is; starts the embedded one when none is named. */
export async function connectionOf(configuration: Configuration, logger: Logger): Promise<Server> {
  if (configuration.databaseUrl !== undefined) {
    const connection = { connectionString: configuration.databaseUrl };
    return { connection, directory: undefined, stop: () => Promise.resolve() };
  }
  const directory = path.resolve(configuration.dataDirectory, 'postgres');
  const server = await startEmbeddedPostgres({ directory, logger });
  return {
    connection: server.connection,
    directory: server.directory,
    stop: () => server.stop(),
  };
}

/** The migration that makes the ring's table. */
const keyRingMigration = '20261122040000_key_ring';

/** Whether the ring has a key that signs with the algorithm that every server needs; `pending` are migrations. */
export async function hasSigningKey(
  { databaseTimeoutMs }: Configuration,
  { connection, pending }: { connection: DatabaseConnection; pending: readonly string[] },
  logger: Logger,
): Promise<boolean> {
  if (pending.includes(keyRingMigration)) return false;
  const database = openDatabase({
    ...{ connection, logger, poolSize: 1 },
    statementTimeoutMs: databaseTimeoutMs,
    connectTimeoutMs: databaseTimeoutMs,
  });
  try {
    const keys = await database.prisma.signingKey.findMany({
      select: { stage: true, algorithm: true },
    });
    return keyRingProblems(keys).length === 0;
  } finally {
    await database.close();
  }
}

/** Applies what is pending; the names of what was applied. Problem('migration_refused'). */
export function migrateConfigured(
  connection: DatabaseConnection,
  logger: Logger,
): Promise<string[]> {
  const directory = migrationsDirectory;
  return migrate({ connection, directory, lockTimeoutMs: migrationLockTimeoutMs, logger });
}

/** Names of the migrations that {@link migrateConfigured} would apply. */
export function pendingConfigured(connection: DatabaseConnection): Promise<string[]> {
  return pendingMigrations({ connection, directory: migrationsDirectory });
}

async function prepareSchema(
  { migrateAtStart }: Pick<Configuration, 'migrateAtStart'>,
  connection: DatabaseConnection,
  logger: Logger,
): Promise<string[]> {
  if (migrateAtStart) return migrateConfigured(connection, logger);
  const pending = await pendingConfigured(connection);
  if (pending.length === 0) return [];
  const detail = `pending: ${pending.join(', ')}; run \`npm run countersign -- migrate\``;
  throw new Problem('migration_refused', { detail });
}
