import type { AuditEntry } from '../audit/events.ts';
import type { Customer } from './customer.ts';
import type { CustomerStore } from './customer-store.ts';
import type { LoginAttempt, LoginThrottle } from './login-throttle-store.ts';
import type { PasswordHasher } from './password.ts';

/** What became of a login. An unknown user, a wrong password and a suspended customer look the same. */
export type LoginResult =
  | { outcome: 'success'; customerId: string }
  | { outcome: 'failed' }
  | { outcome: 'throttled'; retryAfterSeconds: number };

interface Dependencies {
  customers: Pick<CustomerStore, 'findByUsername' | 'replaceHash'>;
  passwords: Pick<PasswordHasher, 'verify' | 'hash'>;
  throttle: LoginThrottle;
  audit: { record(entry: AuditEntry): void };
  onOutcome(outcome: LoginResult['outcome']): void;
}

/** Checks a user name and password: throttled, in the same time for unknown users, rehashed when the cost changed. */
export function createLogin(dependencies: Dependencies) {
  const { customers, passwords, throttle, audit } = dependencies;

  async function check(attempt: LoginAttempt, password: string): Promise<LoginResult> {
    const retryAfterSeconds = await throttle.reserve(attempt);
    if (retryAfterSeconds > 0) {
      audit.record(refusal('authentication.throttled', { retryAfterSeconds }));
      return { outcome: 'throttled', retryAfterSeconds };
    }
    const customer = await customers.findByUsername(attempt.username);
    const { matches, isOutdated } = await passwords.verify(password, customer?.passwordHash);
    if (!matches || customer?.status !== 'active') {
      const reason = reasonOf(customer, matches);
      audit.record({ ...refusal('authentication.failed', { reason }), ...customerOf(customer) });
      return { outcome: 'failed' };
    }
    await throttle.succeeded(attempt);
    if (isOutdated) await rehash(customer, password);
    const actor = { type: 'customer', id: customer.id } as const;
    const detail = { amr: ['pwd'] };
    const parties = { actor, ...customerOf(customer) };
    audit.record({ type: 'authentication.succeeded', outcome: 'success', ...parties, detail });
    return { outcome: 'success', customerId: customer.id };
  }

  async function rehash(customer: Customer, password: string): Promise<void> {
    const fresh = await passwords.hash(password);
    await customers.replaceHash(customer.id, { old: customer.passwordHash, new: fresh });
    const actor = { type: 'system' } as const;
    const parties = { actor, ...customerOf(customer) };
    audit.record({ type: 'customer.password_rehashed', outcome: 'success', ...parties });
  }

  return async function login({
    password,
    ...attempt
  }: LoginAttempt & { password: string }): Promise<LoginResult> {
    const result = await check(attempt, password);
    dependencies.onOutcome(result.outcome);
    return result;
  };
}

function refusal(type: AuditEntry['type'], detail: Record<string, unknown>): AuditEntry {
  return { type, outcome: 'refused', actor: { type: 'customer' }, detail };
}

function customerOf(customer: Customer | undefined): { customerId?: string } {
  return customer === undefined ? {} : { customerId: customer.id };
}

function reasonOf(customer: Customer | undefined, matches: boolean): string {
  if (customer === undefined) return 'unknown user name';
  return matches ? 'the customer is suspended' : 'wrong password';
}
