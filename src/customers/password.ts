import argon2 from 'argon2';
import pLimit from 'p-limit';
import { Problem } from '../problem.ts';
import { normalisePassword } from './customer.ts';

/** Cost of a hash (RFC 9106; OWASP: 19 MiB, 2 passes, 1 lane). */
export interface PasswordHashCost {
  memoryKib: number;
  passes: number;
  parallelism: number;
}

/** How many hashes may run and wait. */
export interface PasswordHashLimits {
  concurrency: number;
  maxWaiting: number;
}

/** Hashes and verifies passwords with argon2id. */
export interface PasswordHasher {
  hash(password: string): Promise<string>;
  /** With no `hash` (an unknown user) it takes the same time and matches nothing. */
  verify(
    password: string,
    hash: string | undefined,
  ): Promise<{ matches: boolean; isOutdated: boolean }>;
  /** How many hashes run or wait. */
  pending(): number;
}

interface Observer {
  onDuration?(seconds: number): void;
  onPending?(count: number): void;
}

/**
 * The only file that knows argon2. Hashing takes tens of milliseconds of a core and 19 MiB, so `limits` bound it: a
 * flood of logins waits or is told to come back, and tokens are not starved.
 */
export async function createPasswordHasher(
  cost: PasswordHashCost,
  limits: PasswordHashLimits,
  observer: Observer = {},
): Promise<PasswordHasher> {
  const limit = pLimit(limits.concurrency);
  const options = {
    type: argon2.argon2id as 2,
    memoryCost: cost.memoryKib,
    timeCost: cost.passes,
    parallelism: cost.parallelism,
  };
  const pending = () => limit.activeCount + limit.pendingCount;

  async function bounded<T>(work: () => Promise<T>): Promise<T> {
    if (limit.pendingCount >= limits.maxWaiting) {
      throw new Problem('temporarily_unavailable', {
        detail: 'too many passwords wait for their hash',
      });
    }
    const result = limit(async () => {
      const start = process.hrtime.bigint();
      const value = await work();
      observer.onDuration?.(Number(process.hrtime.bigint() - start) / 1e9);
      return value;
    });
    observer.onPending?.(pending());
    return result.finally(() => observer.onPending?.(pending()));
  }

  // What an unknown user's password is compared with: a hash of nothing anybody knows, at today's cost.
  const decoy = await argon2.hash(crypto.randomUUID(), options);

  return {
    hash: (password) => bounded(() => argon2.hash(normalisePassword(password), options)),

    async verify(password, hash) {
      const matches = await bounded(() =>
        argon2.verify(hash ?? decoy, normalisePassword(password)),
      );
      if (hash === undefined || !matches) return { matches: false, isOutdated: false };
      return { matches: true, isOutdated: argon2.needsRehash(hash, options) };
    },

    pending,
  };
}
