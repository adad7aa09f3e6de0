import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { keyFrom } from '../../src/api-keys/key-format.ts';
import { createKeyMemory } from '../../src/api-keys/key-memory-store.ts';
import { createUsageCounter } from '../../src/api-keys/usage-counter.ts';
import { createUsageStore } from '../../src/api-keys/usage-store.ts';
import type { UsageDelta } from '../../src/api-keys/usage-store.ts';
import { noChanges } from '../../src/database/changes.ts';
import type { ChangeSource } from '../../src/database/changes.ts';
import type { Sql } from '../../src/database/sql.ts';
import { keyGround } from '../support/api-key-ground.ts';
import type { KeyGround } from '../support/api-key-ground.ts';
import { silentLogger } from '../support/silent-logger.ts';

let ground: KeyGround;
let stores: KeyGround['stores'];

beforeAll(async () => {
  ground = await keyGround();
  ({ stores } = ground);
});

afterAll(() => ground.close());

const newClient = () => ground.newClient();
const make = (clientId: string) => ground.make(clientId);

/** The statements that go through it are counted, and held back where somebody waits for that. */
function watched(sql: Sql) {
  const seen: string[] = [];
  let gate: Promise<void> | undefined;
  const watching: Sql = {
    async rows<Row extends object>(...[statement, given]: Parameters<Sql['rows']>) {
      seen.push(statement.name);
      const found = await sql.rows<Row>(statement, given);
      await gate;
      return found;
    },
    run: (statement, given) => sql.run(statement, given),
  };
  return {
    sql: watching,
    seen,
    hold() {
      const { promise, resolve } = Promise.withResolvers<undefined>();
      gate = promise;
      return () => {
        resolve(undefined);
        gate = undefined;
      };
    },
  };
}

/** Changes that a test makes heard. */
function announcer() {
  let forget: (id: string | undefined) => void = () => undefined;
  const changes: ChangeSource = {
    isLive: () => true,
    subscribe(_topic, listener) {
      forget = listener;
    },
  };
  return {
    changes,
    announce: (id: string | undefined): void => {
      forget(id);
    },
  };
}

describe('The memory of keys', () => {
  const memoryOn = (sql: Sql, changes: ChangeSource = noChanges) =>
    createKeyMemory({ sql, digestKey: ground.digestKey, olderDigestKeys: [], changes });

  it('asks the database once for a key that is in use, and once for one that nobody made', async () => {
    const { secret, key } = await make(await newClient());
    const watch = watched(ground.sql);
    const { changes, announce } = announcer();
    const memory = memoryOn(watch.sql, changes);
    const unknown = keyFrom('live', randomBytes(32));
    const found = await Promise.all(Array.from({ length: 20 }, () => memory.find(secret)));
    expect(new Set(found.map((one) => one?.key.id))).toEqual(new Set([key.id]));
    await Promise.all([memory.find(unknown), memory.find(unknown)]);
    await memory.find(unknown);
    await memory.find(secret);
    expect(watch.seen).toHaveLength(2);
    announce('of another key');
    await memory.find(secret);
    expect(watch.seen).toHaveLength(2);
    announce(key.id);
    await memory.find(secret);
    announce(undefined);
    await memory.find(secret);
    expect(watch.seen).toHaveLength(4);
  });

  it('keeps what is in use however many are guessed', async () => {
    const { secret } = await make(await newClient());
    const watch = watched(ground.sql);
    const none: Sql = { ...watch.sql, rows: () => Promise.resolve([]) };
    let isGuessing = false;
    const rows: Sql['rows'] = (...given) => (isGuessing ? none : watch.sql).rows(...given);
    const memory = memoryOn({ ...watch.sql, rows }, announcer().changes);
    await memory.find(secret);
    isGuessing = true;
    for (let i = 0; i < 25_000; i += 1) await memory.find(`ck_live_${String(i)}`);
    expect((await memory.find(secret))?.key).toBeDefined();
    expect(watch.seen).toHaveLength(1);
  });

  it('does not remember what was read before a change was heard', async () => {
    const { secret, key } = await make(await newClient());
    const watch = watched(ground.sql);
    const { changes, announce } = announcer();
    const memory = memoryOn(watch.sql, changes);
    const release = watch.hold();
    const early = memory.find(secret);
    await expect.poll(() => watch.seen.length).toBe(1);
    await stores[1].revoke(key.id, { name: 'operator x', clientId: undefined });
    announce(key.id);
    release();
    await early;
    expect((await memory.find(secret))?.key.revokedAt).toBeDefined();
  });

  it('gives nobody what was read before a change was heard and they asked', async () => {
    const { secret, key } = await make(await newClient());
    const watch = watched(ground.sql);
    const { changes, announce } = announcer();
    const memory = memoryOn(watch.sql, changes);
    const release = watch.hold();
    const early = memory.find(secret);
    await expect.poll(() => watch.seen.length).toBe(1);
    await stores[1].revoke(key.id, { name: 'operator x', clientId: undefined });
    announce(key.id);
    const late = memory.find(secret);
    release();
    expect((await early)?.key.revokedAt).toBeUndefined(); // asked before it was revoked
    expect((await late)?.key.revokedAt).toBeDefined();
    expect((await memory.find(secret))?.key.revokedAt).toBeDefined();
  });

  it('finds a key by an older digest key, and then by the new one alone', async () => {
    const { secret, key } = await make(await newClient());
    const [digestKey, olderDigestKeys] = [randomBytes(32), [ground.digestKey]];
    const alone = () =>
      createKeyMemory({ ...ground, digestKey, olderDigestKeys: [], changes: noChanges });
    expect(await alone().find(secret)).toBeUndefined();
    const both = createKeyMemory({ ...ground, digestKey, olderDigestKeys, changes: noChanges });
    expect((await both.find(secret))?.key.id).toBe(key.id);
    expect((await alone().find(secret))?.key.id).toBe(key.id);
    expect(await memoryOn(ground.sql).find(secret)).toBeUndefined();
  });
});

describe('The count of uses', () => {
  const use = (keyId: string, at: string, outcome: 'accepted' | 'refused' = 'accepted') => ({
    ...{ keyId, resourceServer: 'api', outcome, at: new Date(at) },
  });
  const days = { from: '2026-01-01', to: '2026-12-31' };

  it('adds up what processes count at once, by day', async () => {
    const { key } = await make(await newClient());
    const counters = [ground.sql, ground.otherSql].map((sql) =>
      createUsageCounter({
        ...{ store: createUsageStore(sql), logger: silentLogger, intervalMs: 60_000 },
      }),
    );
    for (const counter of counters) {
      for (let i = 0; i < 40; i += 1) counter.count(use(key.id, '2026-11-22T23:59:59Z'));
      counter.count(use(key.id, '2026-11-22T12:00:00Z', 'refused'));
      counter.count(use(key.id, '2026-11-23T00:00:00Z'));
    }
    await Promise.all(counters.flatMap((counter) => [counter.flush(), counter.flush()]));
    expect(await createUsageStore(ground.sql).of(key.id, days)).toEqual([
      {
        ...{ day: '2026-11-23', resourceServer: 'api', accepted: 2, refused: 0 },
        lastUsedAt: new Date('2026-11-23T00:00:00Z'),
      },
      {
        ...{ day: '2026-11-22', resourceServer: 'api', accepted: 80, refused: 2 },
        lastUsedAt: new Date('2026-11-22T23:59:59Z'),
      },
    ]);
    expect((await stores[0].find(key.id))?.lastUsedAt).toEqual(new Date('2026-11-23T00:00:00Z'));
  });

  it('keeps what could not be written, and leaves out keys that are gone', async () => {
    const clientId = await newClient();
    const [{ key }, { key: gone }] = [await make(clientId), await make(await newClient())];
    const store = createUsageStore(ground.sql);
    let isAway = true;
    const add = (deltas: readonly UsageDelta[]) =>
      isAway ? Promise.reject(new Error('away')) : store.add(deltas);
    const counter = createUsageCounter({
      ...{ store: { add }, logger: silentLogger, intervalMs: 60_000 },
    });
    counter.start();
    counter.count(use(key.id, '2026-11-22T10:00:00Z'));
    await expect(counter.flush()).rejects.toThrow('away');
    counter.count(use(key.id, '2026-11-22T09:00:00Z'));
    counter.count(use(gone.id, '2026-11-22T10:00:00Z'));
    await ground.prisma.apiKey.delete({ where: { id: gone.id } });
    isAway = false;
    await counter.stop();
    expect(await store.of(key.id, days)).toMatchObject([
      { accepted: 2, lastUsedAt: new Date('2026-11-22T10:00:00Z') },
    ]);
    expect(await store.of(gone.id, days)).toEqual([]);
  });
});
