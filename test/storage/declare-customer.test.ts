import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { createCustomerStore } from '../../src/customers/customer-store.ts';
import type { CustomerStore } from '../../src/customers/customer-store.ts';
import { declareCustomer } from '../../src/customers/declare-customer.ts';
import { createPasswordHasher } from '../../src/customers/password.ts';
import type { PasswordHasher } from '../../src/customers/password.ts';
import { storeGround } from '../support/store.ts';
import type { StoreGround } from '../support/store.ts';

let ground: StoreGround;
let customers: CustomerStore;
let passwords: PasswordHasher;

beforeAll(async () => {
  ground = await storeGround();
  customers = createCustomerStore(ground);
  const cost = { memoryKib: 7168, passes: 1, parallelism: 1 };
  passwords = await createPasswordHasher(cost, { concurrency: 2, maxWaiting: 10 });
});

afterAll(() => ground.close());

const password = 'a long pass phrase';

function declare(username: string, changed: { name?: string; password?: string } = {}) {
  const profile = { username, name: changed.name ?? 'Sue' };
  const declared = { profile, password: changed.password ?? password };
  return declareCustomer(declared, { customers, passwords, clock: systemClock });
}

describe('A customer that a file declares', () => {
  it('is added, and then left alone', async () => {
    const { id, done } = await declare('new');
    expect(done).toBe('added');
    const before = await customers.find(id);
    expect(await declare('new')).toEqual({ id, done: 'nothing' });
    expect(await customers.find(id)).toEqual(before);
  });

  it('keeps its identifier and password when its claims change', async () => {
    const { id } = await declare('renamed');
    const before = await customers.find(id);
    expect(await declare('renamed', { name: 'Susan' })).toEqual({ id, done: 'changed' });
    const after = await customers.find(id);
    expect(after?.profile).toEqual({ username: 'renamed', name: 'Susan' });
    expect(after?.passwordHash).toBe(before?.passwordHash);
  });

  it('keeps its identifier when its password changes', async () => {
    const { id } = await declare('rekeyed');
    const other = 'quite another phrase';
    expect(await declare('rekeyed', { password: other })).toEqual({ id, done: 'changed' });
    const hash = (await customers.find(id))?.passwordHash;
    expect((await passwords.verify(other, hash)).matches).toBe(true);
    expect((await passwords.verify(password, hash)).matches).toBe(false);
  });

  it('is refused with a password that nobody may have', async () => {
    await expect(declare('weak', { password: 'short' })).rejects.toMatchObject({
      code: 'password_too_short',
    });
    expect(await customers.findByUsername('weak')).toBeUndefined();
  });
});
