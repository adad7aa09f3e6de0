import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createClientStore } from '../../src/clients/client-store.ts';
import { createCustomerStore } from '../../src/customers/customer-store.ts';
import { noChanges } from '../../src/database/changes.ts';
import { storeGround } from '../support/store.ts';
import type { StoreGround } from '../support/store.ts';

let ground: StoreGround;
const [oldKey, newKey] = [randomBytes(32), randomBytes(32)];

beforeEach(async () => {
  ground = await storeGround();
});

afterEach(() => ground.close());

const clients = (digestKey: Buffer, olderDigestKeys: readonly Buffer[] = []) =>
  createClientStore({ ...ground, digestKey, olderDigestKeys, changes: noChanges });

const customers = (digestKey: Buffer, olderDigestKeys: readonly Buffer[] = []) =>
  createCustomerStore({ ...ground, digestKey, olderDigestKeys });

it('A client secret is recognised by the old digest key, and then by the new one alone', async () => {
  const secret = 's'.repeat(43);
  const metadata = { client_id: 'web', token_endpoint_auth_method: 'client_secret_basic' };
  await clients(oldKey).insert({ metadata, permissions: {}, source: 'operator', secret } as never);
  expect(await clients(newKey).verifySecret('web', secret)).toBe(false);
  const both = clients(newKey, [oldKey]);
  expect(await both.verifySecret('web', `${secret}x`)).toBe(false);
  expect(await clients(newKey).verifySecret('web', secret)).toBe(false);
  expect(await both.verifySecret('web', secret)).toBe(true);
  expect(await both.verifySecret('web', secret)).toBe(true);
  expect(await clients(newKey).verifySecret('web', secret)).toBe(true);
});

const customer = (id: string) => ({
  id,
  profile: { username: 'casey', name: 'Casey Miller' },
  passwordHash: 'hash',
  passwordChangedAt: new Date(0),
  status: 'active' as const,
});
const [one, other] = [1, 2].map((n) => `00000000-0000-4000-8000-00000000000${String(n)}`) as [
  string,
  string,
];

it('A customer is found by the old digest key, and then by the new one alone', async () => {
  await customers(oldKey).insert(customer(one));
  expect(await customers(newKey).findByUsername('casey')).toBeUndefined();
  expect(await customers(newKey, [oldKey]).findByUsername('Casey')).toMatchObject({ id: one });
  expect(await customers(newKey).findByUsername('casey')).toMatchObject({ id: one });
});

it('A user name that is taken under the old digest key is taken', async () => {
  await customers(oldKey).insert(customer(one));
  await expect(customers(newKey, [oldKey]).insert(customer(other))).rejects.toMatchObject({
    code: 'customer_exists',
  });
});
