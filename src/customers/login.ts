import type { AuditEntry } from '../audit/events.ts';
import type { Customer } from './customer.ts';
import type { CustomerStore } from './customer-store.ts';
import type { LoginGuard, LoginTry, Obstacle } from './login-guard.ts';
import type { PasswordHasher } from './password.ts';

/** What became of a login. An unknown user, a wrong password and a suspended customer look the same. */
export type LoginResult =
  /** `device` is the cookie by which the browser is known from now on. */
  { outcome: 'success'; customerId: string; device: string } | { outcome: 'failed' } | Obstacle;

interface Dependencies {
  customers: Pick<CustomerStore, 'findByUsername' | 'replaceHash'>;
  passwords: Pick<PasswordHasher, 'verify' | 'hash'>;
  guard: LoginGuard;
  audit: { record(entry: AuditEntry): void };
  onOutcome(outcome: LoginResult['outcome']): void;
}

/** Checks a user name and password: throttled, in the same time for unknown users, rehashed when the cost changed. */
export function createLogin(dependencies: Dependencies) {
  const { customers, passwords, guard, audit } = dependencies;

  async function check(attempt: LoginTry): Promise<LoginResult> {
    const obstacle = await guard.stop(attempt);
    if (obstacle !== undefined) return obstacle;
    const { password } = attempt;
    const customer = await customers.findByUsername(attempt.username);
    const { matches, isOutdated } = await passwords.verify(password, customer?.passwordHash);
    if (!matches || customer?.status !== 'active') {
      const reason = reasonOf(customer, matches);
      audit.record({ ...refusal('authentication.failed', { reason }), ...customerOf(customer) });
      await guard.failed(attempt);
      return { outcome: 'failed' };
    }
    const { id } = customer;
    const further = await guard.admit(attempt, id);
    if (further !== undefined) return further;
    const device = await guard.succeeded(attempt, id);
    if (isOutdated) await rehash(customer, password);
    const actor = { type: 'customer', id } as const;
    const detail = { amr: ['pwd'] };
    const parties = { actor, ...customerOf(customer) };
    audit.record({ type: 'authentication.succeeded', outcome: 'success', ...parties, detail });
    return { outcome: 'success', customerId: id, device };
  }

  async function rehash(customer: Customer, password: string): Promise<void> {
    const fresh = await passwords.hash(password);
    await customers.replaceHash(customer.id, { old: customer.passwordHash, new: fresh });
    const actor = { type: 'system' } as const;
    const parties = { actor, ...customerOf(customer) };
    audit.record({ type: 'customer.password_rehashed', outcome: 'success', ...parties });
  }

  return async function login(attempt: LoginTry): Promise<LoginResult> {
    const result = await check(attempt);
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
