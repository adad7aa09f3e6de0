import path from 'node:path';
import pg from 'pg';
import { createLogger } from 'winston';
import { demoAccounts } from '../../../src/consents/api/account-directory-api.ts';
import { startEmbeddedPostgres } from '../../../src/database/embedded.ts';
import { openBank } from './bank.ts';
import type { Bank } from './bank.ts';
import { apiRole } from './schema.ts';

const database = 'sample_bank';

/** The sample bank in the embedded database of `npm start`, which it starts where it does not run. */
export async function openEmbeddedBank(dataDirectory: string): Promise<Bank> {
  const postgres = await startEmbeddedPostgres({
    directory: path.resolve(dataDirectory, 'postgres'),
    logger: createLogger({ silent: true }),
  });
  const { host, port, user } = postgres.connection;
  await createDatabase(postgres.connection);
  const bank = await openBank({
    owner: { host, port, user, database },
    // The socket's folder is private, so that it needs no password there.
    api: { host, port, user: apiRole, database },
    accountsOf: demoAccounts,
  });
  return {
    ...bank,
    async close() {
      await bank.close();
      await postgres.stop();
    },
  };
}

async function createDatabase(connection: pg.ClientConfig): Promise<void> {
  const client = new pg.Client(connection);
  await client.connect();
  try {
    await client.query(`CREATE DATABASE ${database}`);
  } catch (error) {
    const exists =
      error instanceof pg.DatabaseError && ['42P04', '23505'].includes(error.code ?? '');
    if (!exists) throw error;
  } finally {
    await client.end();
  }
}
