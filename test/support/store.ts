import { randomBytes } from 'node:crypto';
import { systemClock } from '../../src/clock.ts';
import { createEndOfConsents } from '../../src/consents/consents-of-client-store.ts';
import { openDatabase } from '../../src/database/client.ts';
import type { Database } from '../../src/database/client.ts';
import { createEncryption } from '../../src/security/encryption.ts';
import { testDatabase } from './database.ts';
import type { TestDatabase } from './database.ts';
import { silentLogger } from './silent-logger.ts';

/** What stores stand on: a database of a test's own, and keys. */
export interface StoreGround {
  prisma: Database['prisma'];
  /** The same database as another process sees it. */
  other: Database['prisma'];
  /** Plain statements on both. */
  sql: Database['sql'];
  otherSql: Database['sql'];
  stored: TestDatabase;
  encryption: ReturnType<typeof createEncryption>;
  digestKey: Buffer;
  endConsents: ReturnType<typeof createEndOfConsents>;
  close(): Promise<void>;
}

/** Opens a migrated, empty database twice. */
export async function storeGround(): Promise<StoreGround> {
  const stored = await testDatabase();
  const open = () =>
    openDatabase({
      connection: stored.connection,
      poolSize: 5,
      statementTimeoutMs: 10_000,
      connectTimeoutMs: 10_000,
      logger: silentLogger,
    });
  const [database, other] = [open(), open()];
  return {
    prisma: database.prisma,
    other: other.prisma,
    sql: database.sql,
    otherSql: other.sql,
    stored,
    encryption: createEncryption([randomBytes(32)]),
    digestKey: randomBytes(32),
    endConsents: createEndOfConsents(systemClock),
    async close() {
      await Promise.all([database.close(), other.close()]);
      await stored.close();
    },
  };
}

/** `count` calls at once, in turn of each of `callers`. */
export function atOnce<C, T>(
  count: number,
  callers: readonly [C, ...C[]],
  call: (caller: C) => Promise<T>,
): Promise<PromiseSettledResult<T>[]> {
  return Promise.allSettled(
    Array.from({ length: count }, (_, i) => call(callers[i % callers.length] ?? callers[0])),
  );
}

/** The values of the calls that succeeded. */
export function values<T>(results: readonly PromiseSettledResult<T>[]): T[] {
  return results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
}
