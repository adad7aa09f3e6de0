import type { AdapterPayload } from 'oidc-provider';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../../clock.ts';
import { secondsFromNow } from '../../clock.ts';
import { createMoments, momentColumns } from '../../database/moments.ts';
import type { Sql, Statement } from '../../database/sql.ts';
import type { Logger } from '../../observability/logger.ts';
import type { Encryption } from '../../security/encryption.ts';
import { createArtifactCodec, digestOfId } from './artifact-codec.ts';
import type { Bytes } from './artifact-codec.ts';

/** What a browser said of itself when its session began. */
export interface Device {
  userAgent: string;
  /** The network that it came from, without the part that tells one household from another. */
  network: string;
}

/** A session as a request shows it. */
export interface SeenSession {
  uid: string;
  customerId: string;
  device: Device;
  expiresAt: Date;
}

/** A session that a customer can see and end. */
export interface KnownSession {
  /** base64url of the uid's digest: names the session, and opens nothing. */
  reference: string;
  device: Device | undefined;
  firstSeenAt: Date;
  lastSeenAt: Date;
}

/** What is left of sessions that were ended: how many, and whom there is to tell. */
export interface EndedSessions {
  count: number;
  sessions: { accountId: string; authorizations: Record<string, { sid?: string }> }[];
}

/** Sessions as their customers see them; what the engine needs of them is among the artifacts. */
export interface SessionStore {
  /** Writes a session down that this process has not seen before; of others only the moment, later. */
  seen(session: SeenSession): Promise<void>;
  /** Notes the moment alone, later. */
  touch(uid: string): void;
  lastSeenOf(uid: string): Promise<Date | undefined>;
  /** Of this customer, the last seen first. */
  listOf(customerId: string): Promise<KnownSession[]>;
  /** Ends one session of this customer by one statement, on every process at once; 0 for one that is not there. */
  end(customerId: string, reference: string): Promise<EndedSessions>;
  /** Ends all sessions of this customer but one. */
  endOthers(customerId: string, uid: string): Promise<EndedSessions>;
  /** Writes the moments that were noted. Never rejects. */
  flush(): Promise<void>;
}

const statement = (name: string, text: string): Statement => ({ name: `session_${name}`, text });

const insert = statement(
  'insert',
  `INSERT INTO customer_sessions AS s (uid_digest, customer_id, device, first_seen_at, last_seen_at, expires_at)
    VALUES ($1, $2, $3, $4, $4, $5)
    ON CONFLICT (uid_digest) DO UPDATE SET last_seen_at = GREATEST(s.last_seen_at, EXCLUDED.last_seen_at),
      expires_at = GREATEST(s.expires_at, EXCLUDED.expires_at), device = EXCLUDED.device
    WHERE s.ended_at IS NULL`,
);

const touch = statement(
  'touch',
  `UPDATE customer_sessions AS s SET last_seen_at = noted.at
    FROM unnest(string_to_array($1, ' '), string_to_array($2, ' ')::timestamptz[]) AS noted (uid, at)
    WHERE s.uid_digest = decode(noted.uid, 'hex') AND s.last_seen_at < noted.at`,
);

const lastSeen = statement(
  'last_seen',
  'SELECT last_seen_at AS "lastSeenAt" FROM customer_sessions WHERE uid_digest = $1',
);

// Of sessions from before this table there is the artifact alone.
const list = statement(
  'list',
  `SELECT a.uid_digest AS "uidDigest", s.device, COALESCE(s.first_seen_at, a.created_at) AS "firstSeenAt",
      COALESCE(s.last_seen_at, a.created_at) AS "lastSeenAt"
    FROM artifacts AS a LEFT JOIN customer_sessions AS s ON s.uid_digest = a.uid_digest
    WHERE a.kind = 'Session' AND a.customer_id = $1 AND a.expires_at > $2 AND s.ended_at IS NULL
    ORDER BY "lastSeenAt" DESC LIMIT 100`,
);

// The mark outlives the artifact: a request that is on its way may write the session again, and must not find it. Between
// two values of its cookie a session has no artifact, so the marks are set on the sessions that are known as well.
const end = (name: string, which: string) =>
  statement(
    name,
    `WITH gone AS (
      DELETE FROM artifacts WHERE kind = 'Session' AND customer_id = $1 AND uid_digest ${which} $2
      RETURNING uid_digest, id_digest, payload), ended AS (
      INSERT INTO customer_sessions AS s
        (uid_digest, customer_id, first_seen_at, last_seen_at, ended_at, expires_at)
      SELECT uid_digest, $1, $3::timestamptz, $3::timestamptz, $3::timestamptz, $4::timestamptz FROM (
        SELECT uid_digest FROM gone UNION
        SELECT uid_digest FROM customer_sessions
        WHERE customer_id = $1 AND uid_digest ${which} $2 AND ended_at IS NULL AND expires_at > $3::timestamptz
      ) AS known
      ON CONFLICT (uid_digest) DO UPDATE SET ended_at = EXCLUDED.ended_at, expires_at = EXCLUDED.expires_at
      WHERE s.ended_at IS NULL
      RETURNING 1)
    SELECT (SELECT count(*)::int FROM ended) AS count, gone.id_digest AS "idDigest", gone.payload
    FROM (SELECT 1) AS always LEFT JOIN gone ON true`,
  );
const endOne = end('end', '=');
const endOthers = end('end_others', '<>');

interface Dependencies {
  sql: Sql;
  encryption: Encryption;
  clock: Clock;
  logger: Logger;
  /** How long a session lives at most. */
  sessionSeconds: number;
}

interface EndedRow {
  count: number;
  idDigest: Bytes | null;
  payload: Bytes | null;
}

/** The store of {@link SessionStore}. */
export function createSessionStore(deps: Dependencies): SessionStore {
  const { sql, encryption, clock, logger, sessionSeconds } = deps;
  const known = new LRUCache<string, number>({ max: 10_000 });
  const moments = createMoments({
    ...{ clock, logger },
    async write(noted) {
      await sql.run(touch, momentColumns(noted));
    },
  });
  const device = createDeviceCodec(encryption);

  async function endSessions(which: Statement, customerId: string, digest: Bytes) {
    // A request that began with the session may write it with a new lifetime.
    const until = secondsFromNow(clock, sessionSeconds);
    const rows = await sql.rows<EndedRow>(which, [customerId, digest, clock.now(), until]);
    return { count: rows[0]?.count ?? 0, sessions: rows.flatMap((row) => opened(row, encryption)) };
  }

  return {
    async seen({ uid, customerId, device: seen, expiresAt }) {
      const digest = digestOfId(uid);
      const key = hexOf(digest);
      moments.note(key);
      // The end is counted anew at each save, in whole seconds; a new login moves it by more.
      if ((known.get(key) ?? 0) > expiresAt.getTime() - 60_000) return;
      const sealed = device.seal(digest, seen);
      await sql.run(insert, [digest, customerId, sealed, clock.now(), expiresAt]);
      known.set(key, expiresAt.getTime());
    },

    touch: (uid) => {
      moments.note(hexOf(digestOfId(uid)));
    },

    async lastSeenOf(uid) {
      const [row] = await sql.rows<{ lastSeenAt: Date }>(lastSeen, [digestOfId(uid)]);
      return row?.lastSeenAt;
    },

    async listOf(customerId) {
      const rows = await sql.rows<ListedRow>(list, [customerId, clock.now()]);
      return rows.map(({ uidDigest, device: sealed, firstSeenAt, lastSeenAt }) => ({
        reference: Buffer.from(uidDigest).toString('base64url'),
        device: sealed === null ? undefined : device.open(uidDigest, sealed),
        firstSeenAt,
        lastSeenAt,
      }));
    },

    end: (customerId, reference) => endSessions(endOne, customerId, digestIn(reference)),
    endOthers: (customerId, uid) => endSessions(endOthers, customerId, digestOfId(uid)),
    flush: () => moments.flush(),
  };
}

interface ListedRow {
  uidDigest: Bytes;
  device: Bytes | null;
  firstSeenAt: Date;
  lastSeenAt: Date;
}

/** The reference of the session with this uid. */
export function sessionReference(uid: string): string {
  return Buffer.from(digestOfId(uid)).toString('base64url');
}

function hexOf(digest: Bytes): string {
  return Buffer.from(digest).toString('hex');
}

function digestIn(reference: string): Bytes {
  return new Uint8Array(Buffer.from(reference, 'base64url'));
}

function createDeviceCodec(encryption: Encryption) {
  const context = (digest: Bytes) => `session:device:${hexOf(digest)}`;
  return {
    seal: (digest: Bytes, device: Device) =>
      encryption.seal(JSON.stringify(device), context(digest)),
    open: (digest: Bytes, sealed: Bytes) =>
      JSON.parse(encryption.open(sealed, context(digest))) as Device,
  };
}

function opened({ idDigest, payload }: EndedRow, encryption: Encryption) {
  if (idDigest === null || payload === null) return [];
  const codec = createArtifactCodec('Session', encryption);
  const session: AdapterPayload = codec.parse(
    undefined,
    codec.open({ idDigest, payload, consumedAt: null }),
  );
  const { accountId, authorizations = {} } = session;
  return accountId === undefined
    ? []
    : [{ accountId, authorizations: authorizations as Record<string, { sid?: string }> }];
}
