import type { Sql, Statement } from '../database/sql.ts';

/** What was counted of a key at a resource server on one day. */
export interface UsageDelta {
  keyId: string;
  /** UTC, `2026-11-22`. */
  day: string;
  resourceServer: string;
  accepted: number;
  refused: number;
  lastUsedAt: Date | undefined;
}

/** As {@link UsageDelta}, all of it. */
export type DayOfUsage = Omit<UsageDelta, 'keyId'>;

export interface UsageStore {
  /** All in one statement, so all or none; keys that are gone are left out. */
  add(deltas: readonly UsageDelta[]): Promise<void>;
  /** Days from the newest to the oldest. */
  of(keyId: string, days: { from: string; to: string }): Promise<DayOfUsage[]>;
}

// In one order everywhere, so that two processes don't wait for each other.
const add: Statement = {
  name: 'api_key_usage_add',
  text: `INSERT INTO api_key_usage AS total (key_id, day, resource_server_identifier, accepted, refused, last_used_at)
    SELECT d."keyId", d.day, d."resourceServer", d.accepted, d.refused, d."lastUsedAt"
    FROM jsonb_to_recordset($1::jsonb) AS d ("keyId" text, day date, "resourceServer" text,
      accepted bigint, refused bigint, "lastUsedAt" timestamptz)
    JOIN api_keys ON api_keys.id = d."keyId"
    ORDER BY d."keyId", d.day, d."resourceServer"
    ON CONFLICT (key_id, day, resource_server_identifier) DO UPDATE SET
      accepted = total.accepted + EXCLUDED.accepted, refused = total.refused + EXCLUDED.refused,
      last_used_at = GREATEST(total.last_used_at, EXCLUDED.last_used_at)`,
};

const read: Statement = {
  name: 'api_key_usage_read',
  text: `SELECT day::text, resource_server_identifier AS "resourceServer", accepted::float8, refused::float8,
      last_used_at AS "lastUsedAt"
    FROM api_key_usage WHERE key_id = $1 AND day BETWEEN $2::date AND $3::date
    ORDER BY day DESC, resource_server_identifier LIMIT 5000`,
};

/** The table of counters. Errors are those of the database. */
export function createUsageStore(sql: Sql): UsageStore {
  return {
    async add(deltas) {
      await sql.run(add, [JSON.stringify(deltas)]);
    },
    async of(keyId, { from, to }) {
      const rows = await sql.rows<Omit<DayOfUsage, 'lastUsedAt'> & { lastUsedAt: Date | null }>(
        read,
        [keyId, from, to],
      );
      return rows.map((row) => ({ ...row, lastUsedAt: row.lastUsedAt ?? undefined }));
    },
  };
}
