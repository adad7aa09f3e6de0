import { randomBytes } from 'node:crypto';
import path from 'node:path';
import pg from 'pg';
import { startEmbeddedPostgres } from '../../src/database/embedded.ts';
import { createLogger } from '../../src/observability/logger.ts';

/** The databases of a run. */
export interface Databases {
  /** Connection strings. */
  urls: Record<'large' | 'wide' | 'small' | 'startup', string>;
  /** What Postgres says of itself. */
  version: string;
  close(): Promise<void>;
}

/** Creates the databases on the given server, or on an embedded one in `directory`. */
export async function createDatabases(
  directory: string,
  serverUrl: string | undefined,
): Promise<Databases> {
  const { url, stop } =
    serverUrl === undefined ? await embedded(directory) : { url: serverUrl, stop: () => undefined };
  const run = randomBytes(4).toString('hex');
  const names = ['large', 'wide', 'small', 'startup'] as const;
  const nameOf = (name: string) => `bench_${run}_${name}`;
  const version = await administer(url, async (admin) => {
    for (const name of names) await admin.query(`CREATE DATABASE ${nameOf(name)}`);
    const { rows } = await admin.query<{ server_version: string }>('SHOW server_version');
    return rows[0]?.server_version ?? 'unknown';
  });
  return {
    urls: {
      large: withDatabase(url, nameOf('large')),
      wide: withDatabase(url, nameOf('wide')),
      small: withDatabase(url, nameOf('small')),
      startup: withDatabase(url, nameOf('startup')),
    },
    version,
    async close() {
      await administer(url, async (admin) => {
        for (const name of names) await admin.query(`DROP DATABASE ${nameOf(name)} WITH (FORCE)`);
      });
      await stop();
    },
  };
}

async function embedded(directory: string) {
  const logger = createLogger({ level: 'warn', format: 'text', destination: process.stderr });
  const postgres = await startEmbeddedPostgres({
    directory: path.join(directory, 'postgres'),
    logger,
  });
  const { host, port, user, database } = postgres.connection;
  const url = `postgresql://${user}@localhost:${String(port)}/${database}?host=${encodeURIComponent(host)}`;
  return { url, stop: () => postgres.stop() };
}

async function administer<T>(url: string, work: (admin: pg.Client) => Promise<T>): Promise<T> {
  const admin = new pg.Client({ connectionString: url });
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.end();
  }
}

function withDatabase(serverUrl: string, database: string): string {
  const url = new URL(serverUrl);
  url.pathname = database;
  return url.href;
}
