import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { createCustomerStore } from '../../src/customers/customer-store.ts';
import type { CustomerStore } from '../../src/customers/customer-store.ts';
import type { Customer } from '../../src/customers/customer.ts';
import { createChanges } from '../../src/database/changes.ts';
import type { Changes } from '../../src/database/changes.ts';
import { silentLogger } from '../support/silent-logger.ts';
import { storeGround } from '../support/store.ts';
import type { StoreGround } from '../support/store.ts';

let ground: StoreGround;
let changes: Changes;
/** Of another process: nothing tells `reader` but the database. */
let writer: CustomerStore;
let reader: CustomerStore;
let customer: Customer;
let reads = 0;
/** Customers of whose changes `reader` has been told. */
const told = new Set<string>();
/** Held until it is called, when a test sets it. */
let hold: Promise<void> | undefined;

/** Within which every process must see a change. */
const aSecond = { timeout: 1000, interval: 10 };

beforeAll(async () => {
  ground = await storeGround();
  const { connectionString } = ground.stored;
  changes = createChanges({ connection: { connectionString }, logger: silentLogger, retryMs: 50 });
  writer = createCustomerStore(ground);
  const sql: typeof ground.sql = {
    ...ground.sql,
    async rows(statement, values) {
      reads += 1;
      const found = await ground.sql.rows<never>(statement, values);
      await hold;
      return found;
    },
  };
  reader = createCustomerStore({ ...ground, sql, changes });
  changes.subscribe('customers', (id) => {
    if (id !== undefined) told.add(id);
  });
  changes.start();
  await vi.waitUntil(() => changes.isLive(), aSecond);
});

afterAll(async () => {
  await changes.close();
  await ground.close();
});

beforeEach(async () => {
  customer = {
    id: randomUUID(),
    profile: { username: randomUUID(), name: 'Casey Miller' },
    passwordHash: '$argon2id$one',
    passwordChangedAt: new Date('2026-01-01T00:00:00Z'),
    status: 'active',
  };
  await writer.insert(customer);
  await vi.waitUntil(() => told.has(customer.id), aSecond); // or it would be forgotten in the middle of a test
  reads = 0;
});

const recalled = () => reader.recall(customer.id);

describe('A customer whose tokens are in use', () => {
  it('is read once, and without the hash of the password', async () => {
    const { id, profile, status } = customer;
    expect(await recalled()).toEqual({ id, profile, status });
    expect(await recalled()).toEqual({ id, profile, status });
    expect(reads).toBe(1);
  });

  it.each<[string, () => Promise<unknown>]>([
    ['a process', () => writer.setStatus(customer.id, 'suspended')],
    [
      'an operator’s own SQL',
      () =>
        ground.prisma
          .$executeRaw`UPDATE customers SET status = 'suspended' WHERE id = ${customer.id}::uuid`,
    ],
  ])('is known to be suspended within a second of it, by %s', async (_who, suspend) => {
    expect((await recalled())?.status).toBe('active');
    await suspend();
    await vi.waitFor(async () => {
      expect((await recalled())?.status).toBe('suspended');
    }, aSecond);
  });

  it('is gone within a second of being deleted', async () => {
    await recalled();
    await ground.prisma.$executeRaw`DELETE FROM customers WHERE id = ${customer.id}::uuid`;
    await vi.waitFor(async () => {
      expect(await recalled()).toBeUndefined();
    }, aSecond);
  });

  it('is seen changed at once by the process that changed it', async () => {
    await recalled();
    await reader.setStatus(customer.id, 'suspended');
    expect((await recalled())?.status).toBe('suspended');
    await reader.setProfile(customer.id, { ...customer.profile, name: 'Casey Jones' });
    expect((await recalled())?.profile.name).toBe('Casey Jones');
  });

  it('is not remembered as it was when a change overtakes the reading', async () => {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    hold = promise;
    const early = recalled();
    const forgotten = vi.fn();
    changes.subscribe('customers', forgotten);
    await vi.waitFor(() => {
      expect(reads).toBe(1);
    }, aSecond);
    await writer.setStatus(customer.id, 'suspended');
    await vi.waitFor(() => {
      expect(forgotten).toHaveBeenCalledWith(customer.id);
    }, aSecond);
    hold = undefined;
    resolve(undefined);
    await early;
    expect((await recalled())?.status).toBe('suspended');
  });

  it('is known within a second of being added, also where nobody was before', async () => {
    const id = randomUUID();
    expect(await reader.recall(id)).toBeUndefined();
    await writer.insert({ ...customer, id, profile: { username: randomUUID() } });
    await vi.waitFor(async () => {
      expect((await reader.recall(id))?.status).toBe('active');
    }, aSecond);
    const own = randomUUID();
    expect(await reader.recall(own)).toBeUndefined();
    await reader.insert({ ...customer, id: own, profile: { username: randomUUID() } });
    expect((await reader.recall(own))?.status).toBe('active');
  });

  it('who is not there is nobody also when a change overtakes the reading', async () => {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    hold = promise;
    const asked = randomUUID();
    const early = reader.recall(asked);
    const forgotten = vi.fn();
    changes.subscribe('customers', forgotten);
    await vi.waitUntil(() => reads === 1, aSecond);
    await writer.insert({ ...customer, id: asked, profile: { username: randomUUID() } });
    await vi.waitUntil(() => forgotten.mock.calls.flat().includes(asked), aSecond);
    hold = undefined;
    resolve(undefined);
    expect(await early).toBeUndefined();
    expect((await reader.recall(asked))?.status).toBe('active');
  });
});
