import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { migrate, pendingMigrations } from '../../src/database/migrate.ts';
import { testDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { authorize, callbacks, discoverWeb } from '../support/journey.ts';
import { destructiveStatements } from '../support/migration-rules.ts';
import { oauthClient, publicClient, tokensOf } from '../support/oauth-client.ts';
import { discover } from '../support/openid.ts';
import { previousSchema } from '../support/previous-schema.ts';
import { accountsApi, startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { serverProcesses } from '../support/server-process.ts';
import type { ServerProcesses } from '../support/server-process.ts';
import { silentLogger } from '../support/silent-logger.ts';
import { introspect } from '../support/tokens.ts';
import * as openid from 'openid-client';

const directory = fileURLToPath(new URL('../../prisma/migrations', import.meta.url));

async function migrationNames(): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true });
  return entries
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .toSorted();
}

const sqlOf = (name: string) => readFile(path.join(directory, name, 'migration.sql'), 'utf8');

describe('Migrations', () => {
  it('only add to what the first one made', async () => {
    const [first, ...later] = await migrationNames();
    expect(first).toMatch(/_first$/);
    expect(later.length).toBeGreaterThan(0);
    for (const name of later) {
      expect({ name, faults: destructiveStatements(await sqlOf(name)) }).toEqual({
        name,
        faults: [],
      });
    }
  });

  it.each([
    'DROP TABLE clients',
    'ALTER TABLE "clients" DROP COLUMN "name"',
    'ALTER TABLE clients DROP name',
    'ALTER TABLE clients RENAME COLUMN name TO title',
    'ALTER TABLE clients RENAME TO parties',
    'ALTER TABLE clients ALTER COLUMN name TYPE varchar(10)',
    'ALTER TABLE clients ALTER COLUMN name SET DATA TYPE varchar(10)',
    'ALTER TABLE clients ALTER COLUMN secret_digest SET NOT NULL',
    'ALTER TABLE clients ALTER COLUMN status DROP DEFAULT',
    'ALTER TABLE clients ADD COLUMN tier text NOT NULL',
    'ALTER TABLE clients ADD COLUMN a text, ADD COLUMN tier text NOT NULL',
    'ALTER TABLE clients ADD CONSTRAINT short CHECK (length(name) < 10)',
    'CREATE UNIQUE INDEX one_name ON clients (name)',
    'DROP TRIGGER announce_change ON clients',
    'TRUNCATE artifacts',
    'DELETE FROM artifacts',
  ])('that say %s are told from those that add', (statement) => {
    expect(destructiveStatements(`-- a note; DROP\n${statement};`)).toHaveLength(1);
  });

  it.each([
    'ALTER TABLE clients ADD COLUMN tier text',
    "ALTER TABLE clients ADD COLUMN tier text NOT NULL DEFAULT 'small'",
    'ALTER TABLE clients ALTER COLUMN name DROP NOT NULL',
    'CREATE INDEX clients_name ON clients (name)',
    'CREATE TABLE t (id int NOT NULL); ALTER TABLE t ADD CONSTRAINT k UNIQUE (id); CREATE UNIQUE INDEX i ON t (id)',
    "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM x; DROP TABLE y; END $$; COMMENT ON TABLE clients IS 'DROP TABLE'",
    '-- DROP TABLE clients\nSELECT 1; /* TRUNCATE clients; */',
  ])('that say %s are let through', (sql) => {
    expect(destructiveStatements(sql).filter((fault) => !fault.includes('COMMENT'))).toEqual([]);
  });
});

interface Column {
  table_name: string;
  column_name: string;
  udt_name: string;
  is_nullable: 'YES' | 'NO';
  column_default: string | null;
}

const columnsOfAll = `SELECT table_name, column_name, udt_name, is_nullable, column_default
  FROM information_schema.columns WHERE table_schema = 'public'`;

describe('The newest schema', () => {
  let database: TestDatabase;
  let session: pg.Client;

  beforeAll(async () => {
    database = await testDatabase();
    session = new pg.Client(database.connection);
    await session.connect();
  });

  afterAll(async () => {
    await session.end();
    await database.close();
  });

  it('is one migration ahead of the one that is remembered', async () => {
    expect((await migrationNames()).at(-2)).toBe(previousSchema.migration);
  });

  it('has every column of the previous one, and of the new ones none that must be filled', async () => {
    const { rows } = await session.query<Column>(columnsOfAll);
    const known: Record<string, Record<string, string>> = previousSchema.tables;
    const found = new Map(rows.map((row) => [`${row.table_name}.${row.column_name}`, row]));
    for (const [table, columns] of Object.entries(known)) {
      for (const [name, shape] of Object.entries(columns)) {
        const column = found.get(`${table}.${name}`);
        expect({ table, name, shape: column && shapeOf(column) }).toEqual({ table, name, shape });
      }
    }
    const added = rows.filter(
      ({ table_name: table, column_name: name }) =>
        known[table] !== undefined && known[table][name] === undefined,
    );
    expect(added.filter((column) => !/[?=]$/.test(shapeOf(column)))).toEqual([]);
  });

  it('takes the rows that the previous version writes, and gives back what it reads', async () => {
    await session.query('BEGIN');
    for (const [table, columns] of Object.entries(previousSchema.tables).toSorted(parentsFirst)) {
      const required = Object.entries(columns).filter(([, shape]) => !/[?=]$/.test(shape));
      const also = Object.entries(alsoWritten[table] ?? {});
      const names = [...required, ...also].map(([name]) => `"${name}"`).join(', ');
      const values = [...required, ...also].map(([, type]) => samples[type] ?? 'NULL').join(', ');
      const all = Object.keys(columns).map((name) => `"${name}"`);
      const read = `SELECT ${all.join(', ')} FROM ${table}`;
      const before = (await session.query(read)).rows.length;
      await session.query(`INSERT INTO ${table} (${names}) VALUES (${values})`);
      const { rows } = await session.query(read);
      expect({ table, rows: rows.length }).toEqual({ table, rows: before + 1 });
    }
    await session.query('ROLLBACK');
  });
});

function shapeOf({ udt_name, is_nullable, column_default }: Column): string {
  if (is_nullable === 'YES') return `${udt_name}?`;
  return column_default === null ? udt_name : `${udt_name}=`;
}

const samples: Readonly<Record<string, string>> = {
  text: `'one'`,
  bytea: `'\\x01'`,
  timestamptz: 'now()',
  int4: '1',
  int8: '1',
  float8: '1',
  _float8: `'{}'`,
  _text: `'{}'`,
  date: 'now()',
  jsonb: `'{}'`,
  uuid: `'00000000-0000-7000-8000-000000000001'`,
};

/** Columns that may be empty, but not in every row. */
const alsoWritten: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  event_streams: { client_id: 'text' },
  event_deliveries: { next_attempt_at: 'timestamptz' },
};

const parents = ['clients', 'resource_servers', 'api_keys'];
/** After the consents, whose history would be told to the stream. */
const last = ['event_streams', 'event_deliveries'];

/** Rows that others refer to come first. */
function parentsFirst([one]: [string, unknown], [other]: [string, unknown]): number {
  const rank = (table: string) =>
    parents.includes(table) ? parents.indexOf(table) - parents.length : last.indexOf(table) + 1;
  return rank(one) - rank(other);
}

describe('On a schema that is one migration ahead of it, this version', () => {
  let server: AuthorizationServer;
  let processes: ServerProcesses;

  /** What a release after this one may bring: as much as migrations are allowed to. */
  const ahead = `
    CREATE TABLE devices (id uuid PRIMARY KEY, customer_id uuid NOT NULL REFERENCES customers(id));
    ALTER TABLE artifacts ADD COLUMN device_id uuid;
    ALTER TABLE artifacts ADD COLUMN region text NOT NULL DEFAULT 'here';
    ALTER TABLE clients ADD COLUMN tier text;
    ALTER TABLE customers ADD COLUMN locale text NOT NULL DEFAULT 'en';
    ALTER TABLE audit_events ADD COLUMN previous_hash bytea;
    ALTER TABLE replay_identifiers ADD COLUMN purpose text;
    CREATE INDEX artifacts_device_id_idx ON artifacts (device_id);`;

  beforeAll(async () => {
    server = await startAuthorizationServer({
      clients: [publicClient('spa', { [accountsApi]: ['accounts'] })],
    });
    processes = await serverProcesses(server);
  });

  afterAll(async () => {
    await processes.close();
    await server.stop();
  });

  async function expectAllFlows(at: AuthorizationServer): Promise<void> {
    const webAt = { redirect_uri: callbacks.web, scope: 'openid accounts' };
    const web = oauthClient(at, {
      id: 'web',
      redirectUri: callbacks.web,
      secret: server.secrets.web,
    });
    const code = await authorize(at, await discoverWeb(at), { parameters: webAt });
    const { access, refresh } = tokensOf(await web.exchange(code));
    expect((await introspect(at, access)).body).toMatchObject({ active: true });
    expect(await web.exchange(code)).toMatchObject({ body: { error: 'invalid_grant' } });
    expect((await introspect(at, access)).body).toEqual({ active: false });
    expect((await web.refresh(refresh)).status).toBe(400);

    const redirectUri = 'https://spa.example.com/callback';
    const spa = oauthClient(at, { id: 'spa', redirectUri });
    const configuration = await discover(at, { id: 'spa', authentication: openid.None() });
    const parameters = { redirect_uri: redirectUri, scope: 'openid accounts' };
    const first = tokensOf(await spa.exchange(await authorize(at, configuration, { parameters })));
    const second = tokensOf(await spa.refresh(first.refresh));
    expect((await introspect(at, second.access)).body).toMatchObject({ active: true });
    expect((await spa.revoke(second.refresh)).status).toBe(200);
    expect((await introspect(at, second.access)).body).toEqual({ active: false });
  }

  it('goes on while it is migrated, starts on it, and undoes nothing', async () => {
    await expectAllFlows(server);
    expect(destructiveStatements(ahead)).toEqual([]);
    const session = new pg.Client(server.database.connection);
    await session.connect();
    try {
      await session.query(`BEGIN; ${ahead};
        INSERT INTO _prisma_migrations (id, checksum, migration_name, finished_at, applied_steps_count)
        VALUES ('ahead', 'unknown', '29991231000000_ahead', now(), 1); COMMIT`);
      await expectAllFlows(server);
      const started = await processes.start();
      await expectAllFlows(started.server);
      const connection = server.database.connection;
      expect(await pendingMigrations({ connection, directory })).toEqual([]);
      const options = { connection, directory, lockTimeoutMs: 5000, logger: silentLogger };
      expect(await migrate(options)).toEqual([]);
      const { rows } = await session.query<{ region: string }>('SELECT region FROM artifacts');
      expect(new Set(rows.map(({ region }) => region))).toEqual(new Set(['here']));
    } finally {
      await session.end();
    }
  });
});
