import type { Clock } from '../clock.ts';
import type { PrismaClient } from '../database/generated/client.ts';
import { networkOf } from '../security/network-of.ts';
import { keyedDigest } from '../security/secrets.ts';
import { accountRule, addressRule, sourceRule } from './login-throttle.ts';
import { normaliseUsername } from './customer.ts';
import type { ThrottleRule } from './login-throttle.ts';

/** Who tries to log in, from where. */
export interface LoginAttempt {
  username: string;
  address: string;
  /** Of a browser that the account is known in: it is counted alone, and for nobody else. */
  device?: string | undefined;
}

type Key = Uint8Array<ArrayBuffer>;

/** Slows down after failures. */
export interface LoginThrottle {
  /**
   * Counts the attempt as a failure before the password is looked at, so that many at once are all counted, and says
   * how many seconds to wait; 0 means that it may go on. `onHeld` learns by which counter it is held up: a name that
   * tells counters apart, and says nothing about them.
   */
  reserve(attempt: LoginAttempt, onHeld?: (counter: string) => void): Promise<number>;
  /** Takes the reservation back after a success, and forgets this account's failures from this network. */
  succeeded(attempt: LoginAttempt): Promise<void>;
}

interface Dependencies {
  prisma: Pick<PrismaClient, '$queryRaw' | 'loginThrottle'>;
  digestKey: Buffer;
  clock: Clock;
}

/** The throttle, counted in the database for all processes together. */
export function createLoginThrottle({ prisma, digestKey, clock }: Dependencies): LoginThrottle {
  const keyOf = (name: string) => new Uint8Array(keyedDigest(digestKey, 'login-throttle', name));

  /** What an attempt counts for, the narrowest first: who is held up there does not count for the others. */
  function counters({ username, address, device }: LoginAttempt) {
    if (device !== undefined) return [{ key: keyOf(`device:${device}`), rule: sourceRule }];
    const account = normaliseUsername(username);
    const network = networkOf(address);
    return [
      { key: keyOf(`source:${network} ${account}`), rule: sourceRule },
      { key: keyOf(`address:${network}`), rule: addressRule },
      { key: keyOf(`account:${account}`), rule: accountRule },
    ];
  }

  /**
   * One statement decides: it returns a row only when the key is not blocked. Whoever is blocked is not counted, so
   * requests that don't wait can't prolong the block.
   */
  async function admit(key: Key, rule: ThrottleRule): Promise<number> {
    const now = clock.now();
    const expiresAt = new Date(now.getTime() + rule.memorySeconds * 1000);
    const admitted = await prisma.$queryRaw<unknown[]>`
      INSERT INTO login_throttles AS t (key_digest, failures, expires_at)
      VALUES (${key}, 1, ${expiresAt})
      ON CONFLICT (key_digest) DO UPDATE SET
        failures = CASE WHEN t.expires_at <= ${now} THEN 1 ELSE t.failures + 1 END,
        blocked_until = CASE
          WHEN t.expires_at > ${now} AND t.failures >= ${rule.freeFailures}::int
          THEN ${now}::timestamptz + make_interval(secs => LEAST(
            ${rule.longestDelaySeconds}::float8,
            ${rule.firstDelaySeconds}::float8 * 2 ^ LEAST(t.failures - ${rule.freeFailures}::int, 30)))
          END,
        expires_at = CASE WHEN t.expires_at <= ${now} THEN ${expiresAt} ELSE t.expires_at END
      WHERE t.blocked_until IS NULL OR t.blocked_until <= ${now} OR t.expires_at <= ${now}
      RETURNING 1`;
    return admitted.length > 0 ? 0 : secondsLeft(key, now);
  }

  async function secondsLeft(key: Key, now: Date): Promise<number> {
    const row = await prisma.loginThrottle.findUnique({ where: { keyDigest: key } });
    const until = row?.blockedUntil?.getTime() ?? now.getTime();
    return Math.max(1, Math.ceil((until - now.getTime()) / 1000));
  }

  return {
    async reserve(attempt, onHeld) {
      for (const { key, rule } of counters(attempt)) {
        const wait = await admit(key, rule);
        if (wait === 0) continue;
        onHeld?.(Buffer.from(key).toString('base64url'));
        return wait;
      }
      return 0;
    },

    async succeeded(attempt) {
      const [source, ...shared] = counters(attempt).map(({ key }) => key);
      await prisma.loginThrottle.deleteMany({
        where: { keyDigest: { in: source ? [source] : [] } },
      });
      // A success is no failure: neither counted nor a reason to hold up the next one.
      await prisma.loginThrottle.updateMany({
        where: { keyDigest: { in: shared } },
        data: { failures: { decrement: 1 }, blockedUntil: null },
      });
    },
  };
}
