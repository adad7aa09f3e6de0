import type { Sql, SqlValue, Statement } from '../database/sql.ts';
import type { Encryption } from '../security/encryption.ts';
import type { ConsentEvent, StreamAlgorithm } from './security-event.ts';
import { sealedFor } from './stream-store.ts';

/** Which row of the outbox is meant. */
export interface OutboxKey {
  streamId: string;
  consentId: string;
  version: number;
}

/** An event that this process has to push. */
export interface ClaimedEvent extends ConsentEvent, OutboxKey {
  endpoint: string;
  /** The Authorization header, sealed; null where the receiver wants none. */
  authorization: Uint8Array | null;
  /** This attempt's number; it also proves the claim. */
  attempts: number;
  /** Failures in a row to reach the receiver, before this attempt. */
  failures: number;
}

/** An event that will never be delivered. */
export interface LostEvent extends OutboxKey {
  jti: string;
  delivery: string;
}

/** An event that its receiver will never take. */
export interface RefusedEvent extends OutboxKey {
  jti: string;
  reason: string;
}

/** What waits for one way of delivery. */
export interface OutboxBacklog {
  delivery: string;
  /** Counted up to 10 000 a stream. */
  pending: number;
  /** Seconds; 0 where nothing waits. */
  oldestSeconds: number;
}

/**
 * The outbox. Its times are the database's, because every process works on it. Of one stream and consent the lowest unsettled
 * version is the only one that is given out.
 */
export interface Outbox {
  /**
   * Takes what is due to be pushed, at most `limit`: at most `perStream` of each stream that is not `busy`, and one of a
   * receiver that failed. What is for a suspended client waits. After `leaseMs` others may take it.
   */
  claim(options: {
    busy: readonly string[];
    perStream: number;
    limit: number;
    leaseMs: number;
  }): Promise<ClaimedEvent[]>;
  /** The Authorization header for an event; throws where no key opens it. */
  authorizationOf(event: Pick<ClaimedEvent, 'authorization' | 'streamId'>): string | undefined;
  /** The receiver has it, and works. */
  delivered(key: OutboxKey): Promise<void>;
  /** The receiver will never take it; false where it is settled already. */
  rejected(key: OutboxKey, reason: string): Promise<boolean>;
  /** To be tried again after `delayMs`, whatever becomes of others. */
  postpone(event: ClaimedEvent, why: { reason: string; delayMs: number }): Promise<void>;
  /** To be tried again when the receiver is: after `delayMs`, with all that it waits for. */
  release(event: ClaimedEvent, why: { reason: string; delayMs: number }): Promise<void>;
  /** What a stream that is polled can be given now, the oldest first, and whether there is more. */
  heads(streamId: string, limit: number): Promise<{ events: ConsentEvent[]; more: boolean }>;
  /** Settles events of a stream by their `jti`; how many were still unsettled. */
  acknowledge(streamId: string, jtis: readonly string[]): Promise<number>;
  /** The receiver will never take these, by `jti` in small letters; those that were still unsettled. */
  refuse(streamId: string, reasons: Readonly<Record<string, string>>): Promise<RefusedEvent[]>;
  /** Gives up what is older than `maxAgeMs` and not on its way, at most `limit`. */
  expire(maxAgeMs: number, limit: number): Promise<LostEvent[]>;
  backlog(): Promise<OutboxBacklog[]>;
}

type EventRow = Omit<ConsentEvent, 'algorithm'> & { algorithm: string };

interface ClaimedRow extends EventRow {
  streamId: string;
  endpoint: string | null;
  authorization: Uint8Array | null;
  attempts: number;
  failures: number;
}

/** What an event says, of `entry` in the outbox. */
const eventColumns = `entry.jti, entry.created_at AS "createdAt", entry.audience, entry.algorithm,
  entry.consent_id AS "consentId", entry.version, step.move, step.state, step.at, step.actor_type AS "by", step.reason,
  step.request_id AS "requestId", consent.client_id AS "clientId", consent.type AS "consentType"`;

const eventJoins = `JOIN consent_history step ON step.consent_id = entry.consent_id AND step.version = entry.version
  JOIN consents consent ON consent.id = entry.consent_id`;

const audience = `COALESCE(stream.client_id, stream.resource_server_identifier) AS audience`;

/** Nothing of the same stream and consent is before it. */
const isHead = `NOT EXISTS (SELECT 1 FROM event_deliveries earlier WHERE earlier.stream_id = due.stream_id
  AND earlier.consent_id = due.consent_id AND earlier.version < due.version AND earlier.next_attempt_at IS NOT NULL)`;

const isFree = `(leased_until IS NULL OR leased_until <= now())`;

/** `$1` to `$3` name a row that is not settled. */
const unsettled = `stream_id = $1 AND consent_id = $2 AND version = $3 AND next_attempt_at IS NOT NULL`;

const settled = (outcome: string) =>
  `outcome = '${outcome}', settled_at = now(), next_attempt_at = NULL, leased_until = NULL`;

const statements = {
  claim: `WITH due AS (
      SELECT head.*, stream.endpoint, stream."authorization", stream.failures, stream.algorithm, ${audience}
      FROM event_streams stream CROSS JOIN LATERAL (
        SELECT stream_id, consent_id, version, next_attempt_at FROM event_deliveries due
        WHERE due.stream_id = stream.id AND next_attempt_at <= now() AND ${isFree} AND ${isHead}
        ORDER BY next_attempt_at LIMIT CASE WHEN stream.failures > 0 THEN 1 ELSE $2::int END
        FOR UPDATE SKIP LOCKED) AS head
      WHERE stream.delivery = 'push' AND stream.status = 'enabled'
        AND (stream.retry_at IS NULL OR stream.retry_at <= now())
        AND stream.id <> ALL (string_to_array($1, ' ')) AND NOT EXISTS (
          SELECT 1 FROM clients receiver WHERE receiver.id = stream.client_id AND receiver.status <> 'active')
      ORDER BY head.next_attempt_at LIMIT $4
    ), entry AS (
      UPDATE event_deliveries taken SET attempts = attempts + 1,
        leased_until = now() + $3::int * interval '1 millisecond'
      FROM due WHERE taken.stream_id = due.stream_id AND taken.consent_id = due.consent_id
        AND taken.version = due.version
      RETURNING taken.*, due.endpoint, due."authorization", due.failures, due.algorithm, due.audience)
    SELECT entry.stream_id AS "streamId", entry.endpoint, entry."authorization", entry.attempts, entry.failures, ${eventColumns}
    FROM entry ${eventJoins}`,
  delivered: `WITH done AS (
      UPDATE event_deliveries SET ${settled('delivered')}, reason = NULL WHERE ${unsettled})
    UPDATE event_streams SET failures = 0, retry_at = NULL WHERE id = $1 AND failures > 0`,
  rejected: `UPDATE event_deliveries SET ${settled('rejected')}, reason = $4 WHERE ${unsettled}`,
  postpone: `UPDATE event_deliveries SET leased_until = NULL, reason = $5,
      next_attempt_at = now() + $6::int * interval '1 millisecond'
    WHERE ${unsettled} AND attempts = $4`,
  // Of the events that fail together, one makes the receiver wait longer.
  release: `WITH freed AS (
      UPDATE event_deliveries SET leased_until = NULL, reason = $5, next_attempt_at = created_at
      WHERE ${unsettled} AND attempts = $4)
    UPDATE event_streams SET failures = failures + 1, retry_at = now() + $6::int * interval '1 millisecond'
    WHERE id = $1 AND (retry_at IS NULL OR retry_at <= now())`,
  heads: `SELECT ${eventColumns} FROM (
      SELECT due.*, stream.algorithm, ${audience}
      FROM event_deliveries due JOIN event_streams stream ON stream.id = due.stream_id
      WHERE due.stream_id = $1 AND stream.status = 'enabled' AND next_attempt_at <= now() AND ${isHead}
      ORDER BY next_attempt_at LIMIT $2) AS entry ${eventJoins} ORDER BY entry.created_at`,
  pending: `SELECT count(*)::int AS pending FROM (SELECT 1 FROM event_deliveries
    WHERE stream_id = $1 AND next_attempt_at IS NOT NULL LIMIT $2) AS entry`,
  acknowledge: `UPDATE event_deliveries SET ${settled('delivered')}
    WHERE stream_id = $1 AND jti = ANY (string_to_array($2, ' ')::uuid[]) AND next_attempt_at IS NOT NULL`,
  refuse: `UPDATE event_deliveries SET ${settled('rejected')}, reason = $3::jsonb ->> jti::text
    WHERE stream_id = $1 AND jti = ANY (string_to_array($2, ' ')::uuid[]) AND next_attempt_at IS NOT NULL
    RETURNING stream_id AS "streamId", consent_id AS "consentId", version, jti, reason`,
  expire: `UPDATE event_deliveries lost SET ${settled('expired')} FROM event_streams stream
    WHERE stream.id = lost.stream_id AND (lost.stream_id, lost.consent_id, lost.version) IN (
      SELECT stream_id, consent_id, version FROM event_deliveries
      WHERE created_at < now() - $1::bigint * interval '1 millisecond' AND next_attempt_at IS NOT NULL AND ${isFree}
      ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED)
    RETURNING lost.stream_id AS "streamId", lost.consent_id AS "consentId", lost.version, lost.jti, stream.delivery`,
  backlog: `SELECT stream.delivery, sum(waiting.pending)::int AS pending,
      COALESCE(EXTRACT(EPOCH FROM now() - min(waiting.oldest)), 0)::float8 AS "oldestSeconds"
    FROM event_streams stream CROSS JOIN LATERAL (
      SELECT count(*) AS pending, min(created_at) AS oldest FROM (
        SELECT created_at FROM event_deliveries WHERE stream_id = stream.id AND next_attempt_at IS NOT NULL
        ORDER BY next_attempt_at LIMIT 10000) AS entry) AS waiting
    GROUP BY stream.delivery`,
} as const;

const statement = (name: keyof typeof statements): Statement => ({
  name: `event_outbox_${name}`,
  text: statements[name],
});

const keyOf = ({ streamId, consentId, version }: OutboxKey): SqlValue[] => [
  ...[streamId, consentId, version],
];

interface Dependencies {
  sql: Sql;
  encryption: Pick<Encryption, 'open'>;
}

/** The outbox over plain statements, one a call. Errors are those of the database. */
export function createOutbox({ sql, encryption }: Dependencies): Outbox {
  const run = (name: keyof typeof statements, values: SqlValue[]) =>
    sql.run(statement(name), values);

  const asClaimed = ({ endpoint, ...row }: ClaimedRow): ClaimedEvent => ({
    ...row,
    algorithm: row.algorithm as StreamAlgorithm,
    endpoint: endpoint ?? '',
  });

  return {
    async claim({ busy, perStream, limit, leaseMs }) {
      const values = [busy.join(' '), perStream, leaseMs, limit];
      return (await sql.rows<ClaimedRow>(statement('claim'), values)).map(asClaimed);
    },

    authorizationOf: ({ authorization, streamId }) =>
      authorization === null ? undefined : encryption.open(authorization, sealedFor(streamId)),

    async delivered(key) {
      await run('delivered', keyOf(key));
    },

    async rejected(key, reason) {
      return (await run('rejected', [...keyOf(key), reason])) === 1;
    },

    async postpone(event, { reason, delayMs }) {
      await run('postpone', [...keyOf(event), event.attempts, reason, delayMs]);
    },

    async release(event, { reason, delayMs }) {
      await run('release', [...keyOf(event), event.attempts, reason, delayMs]);
    },

    async heads(streamId, limit) {
      const found = await sql.rows<EventRow>(statement('heads'), [streamId, limit]);
      const events = found.map((row) => ({ ...row, algorithm: row.algorithm as StreamAlgorithm }));
      const values = [streamId, events.length + 1];
      const [count] = await sql.rows<{ pending: number }>(statement('pending'), values);
      return { events, more: (count?.pending ?? 0) > events.length };
    },

    acknowledge: (streamId, jtis) => run('acknowledge', [streamId, jtis.join(' ')]),

    refuse(streamId, reasons) {
      const values = [streamId, Object.keys(reasons).join(' '), JSON.stringify(reasons)];
      return sql.rows<RefusedEvent>(statement('refuse'), values);
    },

    expire: (maxAgeMs, limit) => sql.rows<LostEvent>(statement('expire'), [maxAgeMs, limit]),

    backlog: () => sql.rows<OutboxBacklog>(statement('backlog'), []),
  };
}
