import pg from 'pg';
import type { AuthorizationServer } from './server.ts';

/** Rows of the server's database by a statement of the test's own. */
export async function stored<T extends pg.QueryResultRow>(
  { database }: Pick<AuthorizationServer, 'database'>,
  statement: string,
): Promise<T[]> {
  const client = new pg.Client({ connectionString: database.connectionString });
  await client.connect();
  try {
    return (await client.query<T>(statement)).rows;
  } finally {
    await client.end();
  }
}
