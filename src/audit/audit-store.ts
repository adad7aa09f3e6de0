import type { PrismaClient } from '../database/generated/client.ts';
import type { Sql, Statement } from '../database/sql.ts';
import type { AuditActor, AuditEntry, AuditEventType } from './events.ts';

/** An audit event as it is kept. */
export interface AuditRow {
  /** UUID version 7. */
  id: string;
  at: Date;
  type: AuditEventType;
  outcome: AuditEntry['outcome'];
  actorType: AuditActor['type'];
  actorId: string | null;
  clientId: string | null;
  customerId: string | null;
  address: string | null;
  requestId: string | null;
  detail: Record<string, unknown>;
}

/** An event on its way to the table, as it is sent: while it waits, one text costs less than the objects in it. */
export interface WrittenRow {
  id: string;
  /** JSON of an {@link AuditRow}. */
  json: string;
}

/** To be called when the event happens. */
export function writtenRow(row: AuditRow): WrittenRow {
  return { id: row.id, json: JSON.stringify(row) };
}

/** What an auditor looks for; members that are absent don't narrow. */
export interface AuditSearch {
  types?: readonly AuditEventType[];
  clientId?: string;
  customerId?: string;
  /** Inclusive. */
  since?: Date;
  /** Exclusive. */
  until?: Date;
  /** 1 to 1000 rows. */
  limit: number;
}

/** The audit table; rows are added and read, never changed. */
export interface AuditStore {
  /** Adds all rows in one statement, so all or none; rows that are already there are left as they are. */
  insertMany(rows: readonly WrittenRow[]): Promise<void>;
  /** The newest rows first. */
  search(search: AuditSearch): Promise<AuditRow[]>;
}

const maxRows = 1000;

/** Classes 22 (data exception) and 23 (integrity) of PostgreSQL's appendix A: the row is at fault, a retry is useless. */
const rowErrorState = /^2[23]\w{3}$/;

/** SQLSTATE and the like sit in `code` or `originalCode`, some levels down in what Prisma and its adapter wrap. */
function codesOf(error: unknown, depth = 0): unknown[] {
  if (typeof error !== 'object' || error === null || depth > 4) return [];
  const { code, originalCode, cause, meta, driverAdapterError } = error as Record<string, unknown>;
  const inner = [cause, meta, driverAdapterError].flatMap((next) => codesOf(next, depth + 1));
  return [code, originalCode, ...inner];
}

/** Whether the database refused the row itself and would refuse it again. */
export function isRowRefused(error: unknown): boolean {
  return codesOf(error).some((code) => typeof code === 'string' && rowErrorState.test(code));
}

/**
 * One parameter whatever the number of rows: one prepared statement. A batch that is sent again after a connection was
 * lost between commit and answer must not fail nor double, hence ON CONFLICT.
 */
const insertMany: Statement = {
  name: 'audit_insert_many',
  text: `INSERT INTO audit_events
      (id, at, type, outcome, actor_type, actor_id, client_id, customer_id, address, request_id, detail)
    SELECT r.id, r.at, r.type, r.outcome, r."actorType", r."actorId", r."clientId", r."customerId",
           r.address, r."requestId", r.detail
    FROM jsonb_to_recordset($1::jsonb) AS r
      (id uuid, at timestamptz, type text, outcome text, "actorType" text, "actorId" text, "clientId" text,
       "customerId" text, address text, "requestId" text, detail jsonb)
    ON CONFLICT (id) DO NOTHING`,
};

/** The audit table. Errors are those of the database. */
export function createAuditStore({
  sql,
  prisma,
}: {
  sql: Pick<Sql, 'run'>;
  prisma: Pick<PrismaClient, 'auditEvent'>;
}): AuditStore {
  return {
    async insertMany(rows) {
      await sql.run(insertMany, [`[${rows.map(({ json }) => json).join(',')}]`]);
    },
    async search({ types, clientId, customerId, since, until, limit }) {
      const rows = await prisma.auditEvent.findMany({
        where: {
          ...(types === undefined ? {} : { type: { in: [...types] } }),
          ...(clientId === undefined ? {} : { clientId }),
          ...(customerId === undefined ? {} : { customerId }),
          at: { ...(since && { gte: since }), ...(until && { lt: until }) },
        },
        orderBy: [{ at: 'desc' }, { id: 'desc' }],
        take: Math.min(Math.max(Math.trunc(limit), 1), maxRows),
      });
      return rows as AuditRow[];
    },
  };
}
