import type { Clock } from '../clock.ts';
import { loadCommonPasswords } from './common-passwords.ts';
import { checkNewPassword } from './customer.ts';
import type { Customer } from './customer.ts';
import type { CustomerStore } from './customer-store.ts';
import type { PasswordHasher } from './password.ts';

interface Dependencies {
  customers: Pick<CustomerStore, 'setPassword' | 'endSessions'>;
  passwords: Pick<PasswordHasher, 'hash'>;
  clock: Clock;
}

/**
 * Gives a customer a checked password, then ends every session, grant and token: whoever knew the old one is out
 * (ASVS 7.4.3). Problems: customer_not_found, password_….
 */
export async function changePassword(
  { id, profile }: Pick<Customer, 'id' | 'profile'>,
  password: string,
  { customers, passwords, clock }: Dependencies,
): Promise<void> {
  const isCommon = await loadCommonPasswords();
  checkNewPassword(password, { username: profile.username, isCommon });
  const hash = await passwords.hash(password);
  await customers.setPassword(id, { hash, changedAt: clock.now() });
  await customers.endSessions(id);
}
