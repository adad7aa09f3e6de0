import type { Clock } from '../clock.ts';
import { createMoments, momentColumns } from '../database/moments.ts';
import type { Sql, Statement } from '../database/sql.ts';
import type { Logger } from '../observability/logger.ts';

/** When something was last done under consents. */
export interface ConsentUses {
  /** Notes that it is used now; written later, once a minute at most. */
  note(consentId: string): void;
  /** The last uses of those of `ids` that were ever used, as far as they are written. */
  lastOf(ids: readonly string[]): Promise<ReadonlyMap<string, Date>>;
  /** Writes what was noted. Never rejects. */
  flush(): Promise<void>;
}

// Processes that note the same consent write it once a minute between them.
const write: Statement = {
  name: 'consent_uses_write',
  text: `INSERT INTO consent_uses AS u (consent_id, last_used_at)
    SELECT id, at FROM unnest(string_to_array($1, ' '), string_to_array($2, ' ')::timestamptz[]) AS noted (id, at)
    ON CONFLICT (consent_id) DO UPDATE SET last_used_at = EXCLUDED.last_used_at
    WHERE u.last_used_at <= EXCLUDED.last_used_at - interval '1 minute'`,
};

const find: Statement = {
  name: 'consent_uses_find',
  text: `SELECT consent_id AS "consentId", last_used_at AS "lastUsedAt" FROM consent_uses
    WHERE consent_id = ANY (string_to_array($1, ' '))`,
};

/** Uses of consents in the database; ids have no spaces. */
export function createConsentUses(deps: { sql: Sql; clock: Clock; logger: Logger }): ConsentUses {
  const { sql, clock, logger } = deps;
  const moments = createMoments({
    ...{ clock, logger },
    async write(noted) {
      await sql.run(write, momentColumns(noted));
    },
  });
  return {
    note: (consentId) => {
      moments.note(consentId);
    },
    async lastOf(ids) {
      const rows = await sql.rows<{ consentId: string; lastUsedAt: Date }>(find, [ids.join(' ')]);
      return new Map(rows.map((row) => [row.consentId, row.lastUsedAt]));
    },
    flush: () => moments.flush(),
  };
}
