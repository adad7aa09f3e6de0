import { isDeepStrictEqual } from 'node:util';
import type { Sql, SqlValue, Statement } from '../database/sql.ts';
import { Problem } from '../problem.ts';
import type { Encryption } from '../security/encryption.ts';
import { isStreamId } from './security-event.ts';
import type { EventStream, Receiver, StreamDraft } from './security-event.ts';

/** How a stream is doing. */
export interface StreamHealth {
  /** Events that wait, counted up to 100 000. */
  pending: number;
  oldestPendingAt: Date | undefined;
  /** Failures to reach the receiver since the last success, and when it is tried again. */
  failures: number;
  retryAt: Date | undefined;
  /** Why the event that waits longest was not taken. */
  reason: string | undefined;
  lastDeliveredAt: Date | undefined;
  /** Of the last seven days. */
  delivered: number;
  rejected: number;
  expired: number;
}

/** What may be replaced in a stream while events wait in it. */
export type StreamChange = Partial<Pick<StreamDraft, 'endpoint' | 'authorization' | 'algorithm'>>;

/** Keeps streams; the Authorization header of a push is sealed. */
export interface EventStreamStore {
  find(id: string): Promise<EventStream | undefined>;
  list(): Promise<EventStream[]>;
  /** The streams of one receiver. */
  listOf(receiver: Receiver): Promise<EventStream[]>;
  /** Problems 'event_stream_exists'; 'event_stream_invalid' where there is no such client or resource server. */
  insert(draft: StreamDraft): Promise<void>;
  /**
   * Inserts or replaces what the static file declares, and tries a receiver at once of which something has changed; whether it
   * is paused stays. Problems as with insert.
   */
  save(draft: StreamDraft): Promise<void>;
  /** Replaces what is named; the rest, and what waits, stays. Whether there is such a stream. */
  update(id: string, change: StreamChange): Promise<boolean>;
  /** Whether there is such a stream. */
  setStatus(id: string, status: EventStream['status']): Promise<boolean>;
  /** Whether there was such a stream; what it was still to be told is dropped. */
  delete(id: string): Promise<boolean>;
  health(id: string): Promise<StreamHealth | undefined>;
}

interface Row {
  id: string;
  clientId: string | null;
  resourceServer: string | null;
  delivery: string;
  endpoint: string | null;
  algorithm: string;
  status: string;
  source: string;
}

interface HeldRow extends Row {
  authorization: Uint8Array | null;
}

type HealthRow = { [K in keyof StreamHealth]: NonNullable<StreamHealth[K]> | null };

const columns = `id, client_id AS "clientId", resource_server_identifier AS "resourceServer", delivery, endpoint,
  algorithm, status, source`;

const insert = `INSERT INTO event_streams AS held
  (id, client_id, resource_server_identifier, delivery, endpoint, "authorization", algorithm, source)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`;

const statements = {
  find: `SELECT ${columns} FROM event_streams WHERE id = $1`,
  held: `SELECT ${columns}, "authorization" FROM event_streams WHERE id = $1`,
  list: `SELECT ${columns} FROM event_streams ORDER BY id`,
  listOf: `SELECT ${columns} FROM event_streams
    WHERE client_id = $1 OR resource_server_identifier = $2 ORDER BY id`,
  insert,
  save: `${insert} ON CONFLICT (id) DO UPDATE SET client_id = EXCLUDED.client_id,
    resource_server_identifier = EXCLUDED.resource_server_identifier, delivery = EXCLUDED.delivery,
    endpoint = EXCLUDED.endpoint, "authorization" = EXCLUDED."authorization", algorithm = EXCLUDED.algorithm,
    failures = 0, retry_at = NULL
    WHERE held.source = EXCLUDED.source`,
  update: `UPDATE event_streams SET endpoint = COALESCE($2, endpoint), "authorization" = COALESCE($3, "authorization"),
    algorithm = COALESCE($4, algorithm), failures = 0, retry_at = NULL WHERE id = $1`,
  setStatus: `UPDATE event_streams SET status = $2, failures = 0, retry_at = NULL WHERE id = $1`,
  delete: `DELETE FROM event_streams WHERE id = $1`,
  health: `SELECT waiting.pending, waiting."oldestPendingAt", stream.failures, stream.retry_at AS "retryAt",
      waiting.reason, past."lastDeliveredAt", past.delivered, past.rejected, past.expired
    FROM event_streams stream CROSS JOIN LATERAL (
      SELECT count(*)::int AS pending, min(created_at) AS "oldestPendingAt",
        (array_agg(reason ORDER BY created_at) FILTER (WHERE reason IS NOT NULL))[1] AS reason
      FROM (SELECT created_at, reason FROM event_deliveries WHERE stream_id = stream.id
        AND next_attempt_at IS NOT NULL ORDER BY next_attempt_at LIMIT 100000) AS entry
    ) AS waiting CROSS JOIN LATERAL (
      SELECT max(settled_at) FILTER (WHERE outcome = 'delivered') AS "lastDeliveredAt",
        (count(*) FILTER (WHERE outcome = 'delivered'))::int AS delivered,
        (count(*) FILTER (WHERE outcome = 'rejected'))::int AS rejected,
        (count(*) FILTER (WHERE outcome = 'expired'))::int AS expired
      FROM event_deliveries WHERE stream_id = stream.id AND settled_at > now() - interval '7 days'
    ) AS past WHERE stream.id = $1`,
} as const;

const statement = (name: keyof typeof statements): Statement => ({
  name: `event_stream_${name}`,
  text: statements[name],
});

/** What the Authorization header of a stream is sealed for. */
export function sealedFor(streamId: string): string {
  return `event stream ${streamId}`;
}

interface Dependencies {
  sql: Sql;
  encryption: Pick<Encryption, 'seal' | 'open'>;
}

/** The store of event streams. */
export function createEventStreamStore({ sql, encryption }: Dependencies): EventStreamStore {
  const rows = async (name: 'find' | 'list' | 'listOf', values: SqlValue[]) =>
    (await sql.rows<Row>(statement(name), values)).map(asStream);

  const valuesOf = (draft: StreamDraft): SqlValue[] => [
    ...[draft.id, draft.clientId ?? null, draft.resourceServer ?? null, draft.delivery],
    draft.endpoint ?? null,
    draft.authorization === undefined
      ? null
      : encryption.seal(draft.authorization, sealedFor(draft.id)),
    ...[draft.algorithm, draft.source],
  ];

  async function write(name: 'insert' | 'save', draft: StreamDraft): Promise<void> {
    const written = await sql.run(statement(name), valuesOf(draft)).catch((cause: unknown) => {
      throw asProblem(cause, draft);
    });
    if (written === 0) throw new Problem('event_stream_exists', { detail: draft.id });
  }

  /** Whether `draft` is what is kept. A secret that no key opens any more is not. */
  async function isHeld(draft: StreamDraft): Promise<boolean> {
    const [row] = await sql.rows<HeldRow>(statement('held'), [draft.id]);
    if (row === undefined) return false;
    const { status: _status, ...stream } = asStream(row);
    try {
      const authorization =
        row.authorization && encryption.open(row.authorization, sealedFor(row.id));
      return isDeepStrictEqual(
        { ...stream, authorization: authorization ?? undefined },
        { ...draft },
      );
    } catch {
      return false;
    }
  }

  return {
    find: async (id) => (isStreamId(id) ? (await rows('find', [id]))[0] : undefined),
    list: () => rows('list', []),
    listOf: ({ clientId, resourceServer }) =>
      rows('listOf', [clientId ?? null, resourceServer ?? null]),
    insert: (draft) => write('insert', draft),
    async save(draft) {
      if (!(await isHeld(draft))) await write('save', draft);
    },
    async update(id, { endpoint, authorization, algorithm }) {
      const sealed =
        authorization === undefined ? null : encryption.seal(authorization, sealedFor(id));
      const values = [id, endpoint ?? null, sealed, algorithm ?? null];
      return (await sql.run(statement('update'), values)) === 1;
    },

    setStatus: async (id, status) => (await sql.run(statement('setStatus'), [id, status])) === 1,
    delete: async (id) => (await sql.run(statement('delete'), [id])) === 1,

    async health(id) {
      const [row] = await sql.rows<HealthRow>(statement('health'), [id]);
      return row && asHealth(row);
    },
  };
}

function asHealth({ oldestPendingAt, retryAt, reason, lastDeliveredAt, ...counts }: HealthRow) {
  return {
    ...(counts as Pick<
      StreamHealth,
      'pending' | 'failures' | 'delivered' | 'rejected' | 'expired'
    >),
    oldestPendingAt: oldestPendingAt ?? undefined,
    retryAt: retryAt ?? undefined,
    reason: reason ?? undefined,
    lastDeliveredAt: lastDeliveredAt ?? undefined,
  };
}

function asStream({ clientId, resourceServer, endpoint, ...row }: Row): EventStream {
  return {
    id: row.id,
    clientId: clientId ?? undefined,
    resourceServer: resourceServer ?? undefined,
    endpoint: endpoint ?? undefined,
    delivery: row.delivery === 'poll' ? 'poll' : 'push',
    algorithm: row.algorithm as EventStream['algorithm'],
    status: row.status === 'paused' ? 'paused' : 'enabled',
    source: row.source === 'file' ? 'file' : 'operator',
  };
}

/** SQLSTATE 23505: the id is taken; 23503: no such receiver. */
function asProblem(cause: unknown, { id, clientId, resourceServer }: StreamDraft): unknown {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  if (code === '23505') return new Problem('event_stream_exists', { detail: id, cause });
  if (code !== '23503') return cause;
  const receiver =
    clientId === undefined
      ? `there is no resource server ${resourceServer ?? ''}`
      : `there is no client ${clientId}`;
  return new Problem('event_stream_invalid', { detail: receiver, cause });
}
