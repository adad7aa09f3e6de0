import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { createChanges, memoryMs } from '../../src/database/changes.ts';
import { testDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { silentLogger } from '../support/silent-logger.ts';

let database: TestDatabase;

beforeAll(async () => {
  database = await testDatabase();
});

afterAll(() => database.close());

function startedOver(connectionString: string) {
  const connection = { connectionString };
  const changes = createChanges({ connection, logger: silentLogger, retryMs: 100 });
  changes.start();
  return changes;
}

it('Changes are not believed to be heard through PgBouncer, whose sessions are told nothing', async () => {
  const pooled = startedOver(`${database.connectionString}&pgbouncer=true`);
  const direct = startedOver(database.connectionString);
  try {
    await vi.waitFor(
      () => {
        expect(direct.isLive()).toBe(true);
      },
      { timeout: 10_000 },
    );
    expect(memoryMs(direct)).toBe(60_000);
    expect([pooled.isLive(), memoryMs(pooled)]).toEqual([false, 1000]);
  } finally {
    await Promise.all([direct.close(), pooled.close()]);
  }
});
