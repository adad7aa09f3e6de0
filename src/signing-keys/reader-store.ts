import type { PrismaClient } from '../database/generated/client.ts';

/** Who fetches the key set: by certificate, by the name in the address it fetches, or by where it comes from. */
export interface Reader {
  kind: 'certificate' | 'resource-server' | 'address';
  name: string;
}

/** A reader that is expected to come again, and what it got the last time. */
export interface KnownReader extends Reader {
  /** Kids of the last key set that it got. */
  seen: string[];
  lastSeenAt: Date;
}

/** Who fetched the key set. */
export interface ReaderStore {
  record(reader: Reader, kids: readonly string[], now: Date): Promise<void>;
  /**
   * Readers that count: those that said who they are and came within 30 days, and addresses that came again after an hour
   * and within a week. An address alone says little, and anybody can come from one.
   */
  known(now: Date): Promise<KnownReader[]>;
}

/** More addresses are not kept: they cost a row each, and nobody has that many resource servers. */
const maxAddresses = 1000;

/** The readers in the database; who has not come for 30 days is forgotten by the way. */
export function createReaderStore(
  prisma: Pick<PrismaClient, '$executeRaw' | '$queryRaw'>,
): ReaderStore {
  return {
    async record({ kind, name }, kids, now) {
      await prisma.$executeRaw`
        WITH forgotten AS (
          DELETE FROM key_set_readers WHERE last_seen_at < ${now}::timestamptz - interval '30 days'
            AND (kind, name) <> (${kind}, ${name}))
        INSERT INTO key_set_readers (kind, name, seen, first_seen_at, last_seen_at)
        SELECT ${kind}, ${name}, ${[...kids]}::text[], ${now}::timestamptz, ${now}::timestamptz
        WHERE ${kind} <> 'address' OR EXISTS (SELECT FROM key_set_readers WHERE kind = ${kind} AND name = ${name})
          OR (SELECT count(*) FROM key_set_readers WHERE kind = 'address') < ${maxAddresses}
        ON CONFLICT (kind, name) DO UPDATE SET seen = EXCLUDED.seen, last_seen_at = EXCLUDED.last_seen_at,
          fetches = key_set_readers.fetches + 1`;
    },

    known: (now) => prisma.$queryRaw<KnownReader[]>`
      SELECT kind, name, seen, last_seen_at AS "lastSeenAt" FROM key_set_readers
      WHERE CASE kind
        WHEN 'address' THEN last_seen_at - first_seen_at >= interval '1 hour'
          AND last_seen_at > ${now}::timestamptz - interval '7 days'
        ELSE last_seen_at > ${now}::timestamptz - interval '30 days' END
      ORDER BY kind, name`,
  };
}
