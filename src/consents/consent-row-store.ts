import type { Sql, SqlValue, Statement } from '../database/sql.ts';

export type Bytes = Uint8Array<ArrayBuffer>;

/** A consent as it is stored. */
export interface ConsentRow {
  id: string;
  clientId: string;
  type: string;
  regime: string;
  state: string;
  version: number;
  permissions: string[];
  terms: Uint8Array;
  accounts: Uint8Array | null;
  decideBy: Date;
  expiresAt: Date | null;
  customerId: string | null;
  acr: string | null;
  amr: string[] | null;
  authenticatedAt: Date | null;
  createdAt: Date;
  changedAt: Date;
}

/** Who moves a consent, from where, and what they saw. */
export interface NotedRow {
  actorType: string;
  actorId: string | null;
  address: string | null;
  requestId: string | null;
  textLocale: string | null;
  textDigest: Bytes | null;
  reason: string | null;
  /** What was lodged, shown and chosen, sealed. */
  content: Bytes | null;
}

/** A new consent. */
export interface NewConsentRow extends NotedRow {
  id: string;
  clientId: string;
  type: string;
  regime: string;
  permissions: readonly string[];
  terms: Bytes;
  decideBy: Date;
  expiresAt: Date | null;
  at: Date;
}

/** The key under which a consent is lodged. */
export interface KeyRow {
  endpoint: string;
  key: string;
  requestDigest: Bytes;
  expiresAt: Date;
}

/** One conditional move; null leaves a column as it is, or a condition out. */
export interface MoveRow extends NotedRow {
  id: string;
  move: string;
  from: string;
  to: string;
  at: Date;
  /** Whether it is time that moves it: then the time must have come, else it must not have. */
  isDue: boolean;
  clientId: string | null;
  customerId: string | null;
  /** The version that it must have. */
  version: number | null;
  accounts: Bytes | null;
  expiresAt: Date | null;
  acr: string | null;
  amr: readonly string[] | null;
  authenticatedAt: Date | null;
  /** What its tokens are deleted by; null where they stay. */
  endedGrant: Bytes | null;
}

/** One entry of a consent's history. */
export interface HistoryRow extends Omit<NotedRow, 'content'> {
  version: number;
  at: Date;
  move: string;
  state: string;
}

/** What makes a {@link ConsentRow}. */
export const consentColumns = `id, client_id AS "clientId", type, regime, state, version, permissions, terms, accounts,
  decide_by AS "decideBy", expires_at AS "expiresAt", customer_id AS "customerId", acr, amr,
  authenticated_at AS "authenticatedAt", created_at AS "createdAt", changed_at AS "changedAt"`;

const historyColumns =
  'consent_id, version, at, move, state, actor_type, actor_id, address, request_id, text_locale, text_digest, reason, content';

/** `$1` to `$9` are the consent, `$10` to `$16` who lodged it; `content` is what. */
const makeFrom = (source: string, content: string) => `made AS (
    INSERT INTO consents (id, client_id, type, regime, state, permissions, terms, amr, decide_by, expires_at, created_at, changed_at)
    SELECT $1, $2, $3, $4, 'awaiting-authorisation', string_to_array($5, ' '), $6::bytea, '{}',
      $7::timestamptz, $8::timestamptz, $9::timestamptz, $9::timestamptz FROM ${source} RETURNING 1)
  INSERT INTO consent_history (${historyColumns})
  SELECT $1, 1, $9::timestamptz, 'create', 'awaiting-authorisation', $10, $11, $12, $13, $14, $15::bytea, $16, ${content}::bytea FROM made`;

const statements = {
  insert: `WITH ${makeFrom('(SELECT 1) AS always', '$17')}`,
  // A key is free again once its time is over. Of two requests with one key the second waits for the first.
  insertOnce: `WITH claimed AS (
    INSERT INTO consent_idempotency AS held (client_id, endpoint, key, request_digest, consent_id, expires_at)
    VALUES ($2, $17, $18, $19, $1, $20)
    ON CONFLICT (client_id, endpoint, key) DO UPDATE SET request_digest = EXCLUDED.request_digest,
      consent_id = EXCLUDED.consent_id, expires_at = EXCLUDED.expires_at WHERE held.expires_at <= $9::timestamptz
    RETURNING 1), ${makeFrom('claimed', '$21')}`,
  findKey: `SELECT request_digest AS "requestDigest", consent_id AS "consentId" FROM consent_idempotency
    WHERE client_id = $1 AND endpoint = $2 AND key = $3`,
  find: `SELECT ${consentColumns} FROM consents WHERE id = $1`,
  listOf: `SELECT ${consentColumns} FROM consents WHERE customer_id = $1 ORDER BY changed_at DESC LIMIT $2`,
  history: `SELECT version, at, move, state, actor_type AS "actorType", actor_id AS "actorId", address,
    request_id AS "requestId", text_locale AS "textLocale", text_digest AS "textDigest", reason
    FROM consent_history WHERE consent_id = $1 ORDER BY version`,
  // The state, its history and the end of everything issued under it: all or nothing.
  move: `WITH moved AS (
    UPDATE consents SET state = $3, version = version + 1,
      changed_at = CASE WHEN $2 = $3 THEN changed_at ELSE $4::timestamptz END,
      customer_id = COALESCE(customer_id, $7), accounts = COALESCE($8::bytea, accounts),
      expires_at = COALESCE($9::timestamptz, expires_at), acr = COALESCE($10, acr),
      amr = COALESCE(string_to_array($11, ' '), amr), authenticated_at = COALESCE($12::timestamptz, authenticated_at)
    WHERE id = $1 AND state = $2
      AND ($6::text IS NULL OR client_id = $6) AND ($22::int IS NULL OR version = $22)
      AND ($7::text IS NULL OR customer_id = $7 OR customer_id IS NULL AND state = 'awaiting-authorisation')
      AND $5::boolean = (CASE state WHEN 'awaiting-authorisation'
        THEN LEAST(decide_by, expires_at) ELSE COALESCE(expires_at, 'infinity') END <= $4::timestamptz)
    RETURNING ${consentColumns}), noted AS (
    INSERT INTO consent_history (${historyColumns})
    SELECT $1, version, $4::timestamptz, $13, $3, $14, $15, $16, $17, $18, $19::bytea, $20, $23::bytea FROM moved), ended AS (
    DELETE FROM artifacts WHERE grant_digest = $21::bytea AND EXISTS (SELECT 1 FROM moved))
    SELECT * FROM moved`,
  lapsed: `SELECT id FROM consents WHERE state = 'awaiting-authorisation' AND decide_by <= $1
    ORDER BY decide_by LIMIT $2`,
  expired: `SELECT id FROM consents WHERE state = 'authorised' AND expires_at <= $1
    ORDER BY expires_at LIMIT $2`,
};

type Name = keyof typeof statements;
const statement = (name: Name): Statement => ({ name: `consent_${name}`, text: statements[name] });

const noted = (row: NotedRow): SqlValue[] => [
  row.actorType,
  row.actorId,
  row.address,
  row.requestId,
  row.textLocale,
  row.textDigest,
  row.reason,
];

const valuesOf = (row: NewConsentRow): SqlValue[] => [
  row.id,
  row.clientId,
  row.type,
  row.regime,
  row.permissions.join(' '),
  row.terms,
  row.decideBy,
  row.expiresAt,
  row.at,
  ...noted(row),
];

/** The tables of consents, one statement a call. */
export type ConsentRows = ReturnType<typeof createConsentRows>;

/** Consents by plain statements: resource servers ask for one with every call. Errors are those of the database. */
export function createConsentRows(sql: Sql) {
  return {
    async insert(row: NewConsentRow): Promise<void> {
      await sql.run(statement('insert'), [...valuesOf(row), row.content]);
    },

    /** False where the key is held, by whomever. */
    async insertOnce(row: NewConsentRow, key: KeyRow): Promise<boolean> {
      const held: SqlValue[] = [key.endpoint, key.key, key.requestDigest, key.expiresAt];
      return (
        (await sql.run(statement('insertOnce'), [...valuesOf(row), ...held, row.content])) === 1
      );
    },

    async findKey(clientId: string, { endpoint, key }: KeyRow) {
      const values = [clientId, endpoint, key];
      const [row] = await sql.rows<{ requestDigest: Uint8Array; consentId: string }>(
        statement('findKey'),
        values,
      );
      return row;
    },

    async find(id: string): Promise<ConsentRow | undefined> {
      const [row] = await sql.rows<ConsentRow>(statement('find'), [id]);
      return row;
    },

    listOf: (customerId: string, limit: number): Promise<ConsentRow[]> =>
      sql.rows<ConsentRow>(statement('listOf'), [customerId, limit]),

    history: (id: string): Promise<HistoryRow[]> =>
      sql.rows<HistoryRow>(statement('history'), [id]),

    /** The consent after the move; undefined where it was not as the move needs it. */
    async move(row: MoveRow): Promise<ConsentRow | undefined> {
      const [moved] = await sql.rows<ConsentRow>(statement('move'), [
        ...[row.id, row.from, row.to, row.at, row.isDue, row.clientId, row.customerId],
        ...[row.accounts, row.expiresAt, row.acr, row.amr?.join(' ') ?? null, row.authenticatedAt],
        ...[row.move, ...noted(row), row.endedGrant, row.version, row.content],
      ]);
      return moved;
    },

    /** Ids of consents whose time is over, the oldest first. */
    async due(move: 'lapse' | 'expire', at: Date, limit: number): Promise<string[]> {
      const name = move === 'lapse' ? 'lapsed' : 'expired';
      const rows = await sql.rows<{ id: string }>(statement(name), [at, limit]);
      return rows.map(({ id }) => id);
    },
  };
}
