import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  createAuditStore,
  isRowRefused,
  writtenRow,
  type AuditRow,
} from '../../src/audit/audit-store.ts';
import { createAuditTrail, type AuditTrail } from '../../src/audit/trail.ts';
import { createUuidSequence } from '../../src/audit/uuid.ts';
import { openDatabase, type Database } from '../../src/database/client.ts';
import { createMetrics } from '../../src/observability/metrics.ts';
import { testDatabase, type TestDatabase } from '../support/database.ts';
import { silentLogger } from '../support/silent-logger.ts';

const start = Date.parse('2026-11-22T10:00:00Z');
const nextId = createUuidSequence({ now: () => new Date(start) });

function row(members: Partial<AuditRow> = {}): AuditRow {
  return {
    ...{ id: nextId(), at: new Date(start), type: 'token.issued', outcome: 'success' },
    ...{ actorType: 'client', actorId: 'tpp', clientId: 'tpp', customerId: null },
    ...{ address: null, requestId: null, detail: {} },
    ...members,
  };
}

let server: TestDatabase;
let database: Database;

beforeEach(async () => {
  server = await testDatabase();
  database = openDatabase({
    connection: server.connection,
    poolSize: 3,
    statementTimeoutMs: 2000,
    connectTimeoutMs: 2000,
    logger: silentLogger,
  });
});
afterEach(async () => {
  await database.close();
  await server.close();
});

describe('the audit table', () => {
  it('gives rows back as they were added', async () => {
    const store = createAuditStore(database);
    const full = row({
      at: new Date(start + 123),
      actorType: 'customer',
      customerId: 'alice',
      address: '2001:db8::1',
      requestId: '5e8c7a5c-6f0e-4a53-8a29-1f6f4a2f7c11',
      detail: { scope: ['openid'], text: `it's "quoted" \\ \n ü 🎉`, nested: { n: 1.5, no: null } },
    });
    const bare = row({ actorType: 'system', actorId: null, clientId: null });
    await store.insertMany([bare, full].map(writtenRow));
    expect(await store.search({ limit: 10 })).toEqual([full, bare]);
  });

  it('takes a thousand rows in one statement, and the same batch twice without doubling it', async () => {
    const store = createAuditStore(database);
    const rows = Array.from({ length: 1000 }, () => row());
    const client = new pg.Client(server.connection);
    await client.connect();
    // A statement trigger fires once per statement.
    await client.query(`
      CREATE TABLE statements (n int);
      CREATE FUNCTION count_statement() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO statements VALUES (1); RETURN NULL; END $$;
      CREATE TRIGGER counting AFTER INSERT ON audit_events
        FOR EACH STATEMENT EXECUTE FUNCTION count_statement()`);
    await store.insertMany(rows.map(writtenRow));
    const { rows: statements } = await client.query('SELECT n FROM statements');
    await client.end();
    expect(statements).toHaveLength(1);
    await store.insertMany([...rows.slice(500), row({ clientId: 'new' })].map(writtenRow));
    expect(await database.prisma.auditEvent.count()).toBe(1001);
  });

  it('is searched by type, client, customer and time, the newest first', async () => {
    const store = createAuditStore(database);
    const at = (seconds: number): Date => new Date(start + seconds * 1000);
    const rows = [
      row({ at: at(1), clientId: 'a', customerId: 'x' }),
      row({ at: at(2), clientId: 'b', customerId: 'x', type: 'token.refused' }),
      row({ at: at(3), clientId: 'a', customerId: 'y', type: 'grant.revoked' }),
    ];
    await store.insertMany(rows.map(writtenRow));
    const seconds = async (search: object): Promise<number[]> => {
      const found = await store.search({ limit: 10, ...search });
      return found.map((each) => (each.at.getTime() - start) / 1000);
    };
    expect(await seconds({})).toEqual([3, 2, 1]);
    expect(await seconds({ clientId: 'a' })).toEqual([3, 1]);
    expect(await seconds({ customerId: 'x' })).toEqual([2, 1]);
    expect(await seconds({ types: ['token.issued', 'grant.revoked'] })).toEqual([3, 1]);
    expect(await seconds({ types: [] })).toEqual([]);
    expect(await seconds({ since: at(2) })).toEqual([3, 2]);
    expect(await seconds({ until: at(2) })).toEqual([1]);
    expect(await seconds({ limit: 2 })).toEqual([3, 2]);
    expect(await seconds({ limit: -5 })).toEqual([3]);
  });

  it('tells rows that it will never take from a database that can not serve', async () => {
    const store = createAuditStore(database);
    const errorOf = (rows: AuditRow[]): Promise<unknown> =>
      store.insertMany(rows.map(writtenRow)).then(
        () => undefined,
        (error: unknown) => error,
      );
    expect(isRowRefused(await errorOf([row({ detail: { text: 'a\u0000' } })]))).toBe(true);
    expect(isRowRefused(await errorOf([row({ id: 'not a uuid' })]))).toBe(true);
    const client = new pg.Client(server.connection);
    await client.connect();
    await client.query('DROP TABLE audit_events');
    await client.end();
    const away = await errorOf([row()]);
    expect(away).toBeDefined();
    expect(isRowRefused(away)).toBe(false);
  });
});

describe('the audit trail on the database', () => {
  function openTrail(): AuditTrail {
    return createAuditTrail({
      store: createAuditStore(database),
      clock: { now: () => new Date(start) },
      logger: silentLogger,
      metrics: createMetrics(),
      maxQueue: 1000,
      flushIntervalMs: 5,
      batchSize: 50,
    });
  }
  const entry = {
    type: 'token.issued',
    outcome: 'success',
    actor: { type: 'client', id: 'tpp' },
  } as const;

  it('has committed an entry when recordDurably resolves', async () => {
    const trail = openTrail();
    await trail.recordDurably({ ...entry, detail: { 'a\u0000\ud800': '\u0000\udfff' } });
    expect(await database.prisma.auditEvent.count()).toBe(1);
    await trail.close();
  });

  it('commits many entries at once, and all of them at the end', async () => {
    const trail = openTrail();
    await Promise.all(Array.from({ length: 120 }, () => trail.recordDurably(entry)));
    for (let count = 0; count < 120; count += 1) trail.record(entry);
    await trail.close();
    expect(await database.prisma.auditEvent.count()).toBe(240);
  });

  it('refuses durable entries while the table can not be written, and keeps the others', async () => {
    const trail = openTrail();
    const client = new pg.Client(server.connection);
    await client.connect();
    await client.query('ALTER TABLE audit_events RENAME TO audit_events_away');
    trail.record({ ...entry, clientId: 'patient' });
    await expect(trail.recordDurably(entry)).rejects.toMatchObject({
      code: 'database_unavailable',
    });
    await client.query('ALTER TABLE audit_events_away RENAME TO audit_events');
    await client.end();
    await trail.recordDurably({ ...entry, clientId: 'later' });
    await trail.close();
    const rows = await database.prisma.auditEvent.findMany({ orderBy: { id: 'asc' } });
    expect(rows.map(({ clientId }) => clientId)).toEqual(['patient', 'later']);
  });
});
