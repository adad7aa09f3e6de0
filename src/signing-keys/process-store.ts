import type { PrismaClient } from '../database/generated/client.ts';
import { leaseSeconds } from './key-ring-store.ts';

/** A server process that shows signs of life. */
export interface LiveProcess {
  id: string;
  host: string;
  /** Kids that it publishes. */
  published: string[];
  seenAt: Date;
}

/** What each server process publishes. */
export interface ProcessStore {
  /** A sign of life, and what is published at this moment. */
  report(process: { id: string; host: string; published: readonly string[] }): Promise<void>;
  /** A process that ends is not waited for. */
  leave(id: string): Promise<void>;
  live(): Promise<LiveProcess[]>;
}

/** The processes, with times by the database's clock; who has long been silent is forgotten by the way. */
export function createProcessStore(
  prisma: Pick<PrismaClient, '$executeRaw' | '$queryRaw' | 'keyRingProcess'>,
): ProcessStore {
  return {
    async report({ id, host, published }) {
      await prisma.$executeRaw`
        WITH forgotten AS (DELETE FROM key_ring_processes WHERE seen_at < now() - interval '1 hour' AND id <> ${id}::uuid)
        INSERT INTO key_ring_processes (id, host, published, seen_at)
        VALUES (${id}::uuid, ${host}, ${[...published]}::text[], now())
        ON CONFLICT (id) DO UPDATE SET published = EXCLUDED.published, seen_at = EXCLUDED.seen_at`;
    },

    async leave(id) {
      await prisma.keyRingProcess.deleteMany({ where: { id } });
    },

    live: () => prisma.$queryRaw<LiveProcess[]>`
      SELECT id::text, host, published, seen_at AS "seenAt" FROM key_ring_processes
      WHERE seen_at > now() - make_interval(secs => ${leaseSeconds}) ORDER BY host, id`,
  };
}
