import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../clock.ts';
import { addCustomer } from './add-customer.ts';
import { changePassword } from './change-password.ts';
import type { CustomerProfile } from './customer.ts';
import type { CustomerStore } from './customer-store.ts';
import type { PasswordHasher } from './password.ts';

interface Dependencies {
  customers: Pick<
    CustomerStore,
    'findByUsername' | 'insert' | 'setProfile' | 'setPassword' | 'endSessions'
  >;
  passwords: Pick<PasswordHasher, 'hash' | 'verify'>;
  clock: Clock;
}

/**
 * Makes the customer be as a file says: adds one, or changes what differs. Sessions end with a changed password only.
 * Problems: customer_invalid, password_….
 */
export async function declareCustomer(
  declared: { profile: CustomerProfile; password: string },
  deps: Dependencies,
): Promise<{ id: string; done: 'added' | 'changed' | 'nothing' }> {
  const { profile, password } = declared;
  const present = await deps.customers.findByUsername(profile.username);
  if (present === undefined) {
    const { id } = await addCustomer(declared, deps);
    return { id, done: 'added' };
  }
  const hasOtherProfile = !isDeepStrictEqual(present.profile, profile);
  if (hasOtherProfile) await deps.customers.setProfile(present.id, profile);
  const { matches } = await deps.passwords.verify(password, present.passwordHash);
  if (!matches) await changePassword(present, password, deps);
  return { id: present.id, done: hasOtherProfile || !matches ? 'changed' : 'nothing' };
}
