import { randomUUID } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { loadCommonPasswords } from './common-passwords.ts';
import { checkNewPassword, checkUsername } from './customer.ts';
import type { Customer, CustomerProfile } from './customer.ts';
import type { CustomerStore } from './customer-store.ts';
import type { PasswordHasher } from './password.ts';

interface Dependencies {
  customers: Pick<CustomerStore, 'insert'>;
  passwords: Pick<PasswordHasher, 'hash'>;
  clock: Clock;
}

/** Adds a customer with a checked password. Problems: customer_exists, customer_invalid, password_…. */
export async function addCustomer(
  { profile, password }: { profile: CustomerProfile; password: string },
  { customers, passwords, clock }: Dependencies,
): Promise<Customer> {
  checkUsername(profile.username);
  const isCommon = await loadCommonPasswords();
  checkNewPassword(password, { username: profile.username, isCommon });
  const customer: Customer = {
    id: randomUUID(),
    profile,
    passwordHash: await passwords.hash(password),
    passwordChangedAt: clock.now(),
    status: 'active',
  };
  await customers.insert(customer);
  return customer;
}
