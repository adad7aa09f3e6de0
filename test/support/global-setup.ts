import { fileURLToPath } from 'node:url';
import pg from 'pg';
import type { TestProject } from 'vitest/node';
import { startEmbeddedPostgres, type SocketConnection } from '../../src/database/embedded.ts';
import { migrate } from '../../src/database/migrate.ts';
import { silentLogger } from './silent-logger.ts';
import { temporaryDirectory } from './temporary-directory.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** The server of this run; its databases are made by `testDatabase`. */
    databaseServer: SocketConnection;
  }
}

/** Name of the migrated, empty database that `testDatabase` copies. */
const TEMPLATE = 'migrated_template';
const migrations = fileURLToPath(new URL('../../prisma/migrations', import.meta.url));

/** Starts the one database server of a run, with a migrated database to copy, and stops it at the end. */
export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  const directory = await temporaryDirectory();
  const server = await startEmbeddedPostgres({ directory: directory.path, logger: silentLogger });
  const admin = new pg.Client(server.connection);
  await admin.connect();
  await admin.query(`CREATE DATABASE ${TEMPLATE}`);
  await admin.end();
  await migrate({
    connection: { ...server.connection, database: TEMPLATE },
    directory: migrations,
    lockTimeoutMs: 10_000,
    logger: silentLogger,
  });
  project.provide('databaseServer', server.connection);
  return async () => {
    await server.stop();
    await directory.remove();
  };
}
