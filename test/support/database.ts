import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';
import type { SocketConnection } from '../../src/database/embedded.ts';

/** A database of a test's own. */
export interface TestDatabase {
  connection: SocketConnection;
  /** The same as a connection string, for commands that take one. */
  connectionString: string;
  /** Drops it, with the sessions that are still open. */
  close(): Promise<void>;
}

async function asAdmin(statement: string): Promise<void> {
  const admin = new pg.Client(inject('databaseServer'));
  await admin.connect();
  try {
    await admin.query(statement);
  } finally {
    await admin.end();
  }
}

/** The same connection as a string. */
export function connectionStringOf({ host, port, user, database }: SocketConnection): string {
  return `postgresql://${user}@localhost:${String(port)}/${database}?host=${encodeURIComponent(host)}`;
}

/** Creates a database on the run's server: migrated and empty, or with `template0` without any table. */
export async function testDatabase(
  template: 'migrated_template' | 'template0' = 'migrated_template',
): Promise<TestDatabase> {
  const database = `test_${randomBytes(8).toString('hex')}`;
  await asAdmin(`CREATE DATABASE ${database} TEMPLATE ${template}`);
  const connection = { ...inject('databaseServer'), database };
  return {
    connection,
    connectionString: connectionStringOf(connection),
    close: () => asAdmin(`DROP DATABASE ${database} WITH (FORCE)`),
  };
}
