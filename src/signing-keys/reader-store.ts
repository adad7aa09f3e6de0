import type { PrismaClient } from '../database/generated/client.ts';

/**
 * Who fetches the key set. Proven are a resource server by its certificate, and an address that was configured; the
 * name in the address that is fetched (`label`), other certificates and other addresses prove nothing.
 */
export interface Reader {
  kind: 'resource-server' | 'configured-address' | 'label' | 'certificate' | 'address';
  name: string;
}

/** A reader that is expected to come again, and what it got the last time. */
export interface KnownReader extends Reader {
  /** Whether a key waits for it. */
  proven: boolean;
  /** Kids of the last key set that it got. */
  seen: string[];
  lastSeenAt: Date;
}

/** Who fetched the key set. */
export interface ReaderStore {
  record(reader: Reader, kids: readonly string[], now: Date): Promise<void>;
  /**
   * Who came within 30 days, a configured address within a week, other addresses also again after an hour. A resource
   * server that was deleted is no longer known.
   */
  known(now: Date): Promise<KnownReader[]>;
}

/** More of an unproven kind are not kept: they cost a row each, and nobody has that many resource servers. */
const maxUnproven = 1000;

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
        WHERE ${kind} IN ('resource-server', 'configured-address')
          OR EXISTS (SELECT FROM key_set_readers WHERE kind = ${kind} AND name = ${name})
          OR (SELECT count(*) FROM key_set_readers WHERE kind = ${kind}) < ${maxUnproven}
        ON CONFLICT (kind, name) DO UPDATE SET seen = EXCLUDED.seen, last_seen_at = EXCLUDED.last_seen_at,
          fetches = key_set_readers.fetches + 1`;
    },

    known: (now) => prisma.$queryRaw<KnownReader[]>`
      SELECT kind, name, seen, last_seen_at AS "lastSeenAt",
        kind IN ('resource-server', 'configured-address') AS proven
      FROM key_set_readers
      WHERE CASE kind
        WHEN 'resource-server' THEN last_seen_at > ${now}::timestamptz - interval '30 days'
          AND EXISTS (SELECT FROM resource_servers WHERE identifier = key_set_readers.name)
        WHEN 'configured-address' THEN last_seen_at > ${now}::timestamptz - interval '7 days'
        WHEN 'address' THEN last_seen_at - first_seen_at >= interval '1 hour'
          AND last_seen_at > ${now}::timestamptz - interval '7 days'
        ELSE last_seen_at > ${now}::timestamptz - interval '30 days' END
      ORDER BY kind, name`,
  };
}
