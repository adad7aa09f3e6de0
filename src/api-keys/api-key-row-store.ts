import type { Sql, SqlValue, Statement } from '../database/sql.ts';
import type { ApiKey, Permissions } from './api-key.ts';

export type Bytes = Uint8Array<ArrayBuffer>;

/** A key as it is stored. */
export interface KeyRow {
  id: string;
  prefix: string;
  name: string;
  clientId: string | null;
  createdBy: string;
  permissions: Permissions;
  addresses: string[] | null;
  limitRequests: number | null;
  limitSeconds: number | null;
  createdAt: Date;
  expiresAt: Date;
  revokedAt: Date | null;
  revokedBy: string | null;
  successorId: string | null;
}

/** A key with its last use, as lists show it. */
export interface ListedRow extends KeyRow {
  lastUsedAt: Date | null;
}

/** The successor of a key: everything else it has from its predecessor. */
export interface SuccessorRow {
  predecessorId: string;
  /** Only of this client; null for any. */
  clientId: string | null;
  id: string;
  digest: Bytes;
  prefix: string;
  createdBy: string;
  permissions: Permissions;
  at: Date;
  expiresAt: Date;
  /** When the predecessor ends, if it does not end before. */
  overlapEnd: Date;
}

const names = [
  'id, prefix, name, client_id AS "clientId", created_by AS "createdBy", permissions, addresses',
  'limit_requests AS "limitRequests", limit_seconds AS "limitSeconds", created_at AS "createdAt"',
  'expires_at AS "expiresAt", revoked_at AS "revokedAt", revoked_by AS "revokedBy", successor_id AS "successorId"',
];

/** What every reading statement gives. */
export const columns = names.join(', ');

const listed = `${columns}, (SELECT max(last_used_at) FROM api_key_usage WHERE key_id = k.id) AS "lastUsedAt"`;

const statements = {
  byDigest: `SELECT ${columns} FROM api_keys WHERE digest = $1`,
  renewDigest: 'UPDATE api_keys SET digest = $3 WHERE id = $1 AND digest = $2',
  find: `SELECT ${listed} FROM api_keys k WHERE id = $1`,
  /** Newest first, after the one that the last page ended with. */
  list: `SELECT ${listed} FROM api_keys k
    WHERE ($1::text IS NULL OR client_id = $1) AND (NOT $2::boolean OR client_id IS NULL)
      AND ($3::text IS NULL OR (created_at, id) < (SELECT created_at, id FROM api_keys WHERE id = $3))
    ORDER BY created_at DESC, id DESC LIMIT $4`,
  // The lock on the owner: a client that is deleted meanwhile takes both along, or there is no successor.
  // Without what is said of those before it, a key could leave any number of active ones behind.
  rotate: `WITH RECURSIVE before AS (
      SELECT id, revoked_at, expires_at FROM api_keys WHERE successor_id = $1
      UNION ALL SELECT older.id, older.revoked_at, older.expires_at
        FROM api_keys older JOIN before ON older.successor_id = before.id), owner AS (
      SELECT id FROM clients WHERE id = (SELECT client_id FROM api_keys WHERE id = $1) FOR KEY SHARE), ended AS (
    UPDATE api_keys SET successor_id = $3, expires_at = LEAST(expires_at, $9::timestamptz),
      revoked_at = CASE WHEN $9::timestamptz <= $7::timestamptz THEN $7::timestamptz END,
      revoked_by = CASE WHEN $9::timestamptz <= $7::timestamptz THEN $6::text END
    WHERE id = $1 AND ($2::text IS NULL OR client_id = $2) AND successor_id IS NULL AND revoked_at IS NULL
      AND expires_at > $7::timestamptz AND (client_id IS NULL OR EXISTS (SELECT 1 FROM owner))
      AND ($9::timestamptz <= $7::timestamptz OR NOT EXISTS (
        SELECT 1 FROM before WHERE before.revoked_at IS NULL AND before.expires_at > $7::timestamptz))
    RETURNING name, client_id, addresses, limit_requests, limit_seconds)
    INSERT INTO api_keys (id, digest, prefix, name, client_id, created_by, permissions, addresses,
      limit_requests, limit_seconds, created_at, expires_at)
    SELECT $3, $4::bytea, $5, name, client_id, $6, $10::jsonb, addresses, limit_requests, limit_seconds,
      $7::timestamptz, $8::timestamptz FROM ended
    RETURNING ${columns}`,
  revoke: `UPDATE api_keys SET revoked_at = $2, revoked_by = $3
    WHERE id = $1 AND ($4::text IS NULL OR client_id = $4) AND revoked_at IS NULL RETURNING ${columns}`,
  /** Each is told of once, by whichever process comes first. */
  warn: `UPDATE api_keys SET warned_at = $1 WHERE id = ANY (ARRAY(
      SELECT id FROM api_keys WHERE warned_at IS NULL AND revoked_at IS NULL AND expires_at > $1 AND expires_at <= $2
      ORDER BY expires_at LIMIT $3 FOR UPDATE SKIP LOCKED))
    RETURNING ${columns}`,
};

type Name = keyof typeof statements;
const statement = (name: Name): Statement => ({ name: `api_key_${name}`, text: statements[name] });

/** Statements on the table of keys. Errors are those of the database. */
export function createKeyRows(sql: Sql) {
  async function one<Row extends object>(name: Name, values: readonly SqlValue[]) {
    const [row] = await sql.rows<Row>(statement(name), values);
    return row;
  }

  return {
    byDigest: (digest: Uint8Array) => one<KeyRow>('byDigest', [digest]),

    async renewDigest(id: string, { from, to }: { from: Uint8Array; to: Uint8Array }) {
      await sql.run(statement('renewDigest'), [id, from, to]);
    },

    find: (id: string) => one<ListedRow>('find', [id]),

    list: (
      clientId: string | null,
      page: { ofOperator: boolean; after: string | null; limit: number },
    ) =>
      sql.rows<ListedRow>(statement('list'), [clientId, page.ofOperator, page.after, page.limit]),

    /** The successor; undefined where the key was not there, not active, rotated already, or overlapped. */
    rotate: (row: SuccessorRow) =>
      one<KeyRow>('rotate', [
        ...[row.predecessorId, row.clientId, row.id, row.digest, row.prefix, row.createdBy],
        ...[row.at, row.expiresAt, row.overlapEnd, JSON.stringify(row.permissions)],
      ]),

    revoke: (id: string, by: { at: Date; actor: string; clientId: string | null }) =>
      one<KeyRow>('revoke', [id, by.at, by.actor, by.clientId]),

    warn: (now: Date, before: Date, limit: number) =>
      sql.rows<KeyRow>(statement('warn'), [now, before, limit]),
  };
}

export type KeyRows = ReturnType<typeof createKeyRows>;

/** A row in the slice's words. */
export function asKey(row: KeyRow): ApiKey {
  const { limitRequests: requests, limitSeconds: seconds } = row;
  return {
    id: row.id,
    prefix: row.prefix,
    name: row.name,
    owner: row.clientId === null ? { type: 'operator' } : { type: 'client', id: row.clientId },
    createdBy: row.createdBy,
    permissions: row.permissions,
    addresses: row.addresses ?? [],
    limit: requests === null || seconds === null ? undefined : { requests, seconds },
    createdAt: row.createdAt,
    expiresAt: row.expiresAt,
    revokedAt: row.revokedAt ?? undefined,
    revokedBy: row.revokedBy ?? undefined,
    successorId: row.successorId ?? undefined,
  };
}
