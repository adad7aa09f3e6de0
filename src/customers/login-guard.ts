import type { AuditEntry } from '../audit/events.ts';
import type { Clock } from '../clock.ts';
import { createReminder } from '../observability/reminder.ts';
import type { KnownDevices } from './known-devices.ts';
import type { LoginPattern, LoginPatterns } from './login-pattern-store.ts';
import type { LoginStep, LoginSteps } from './login-steps.ts';
import type { LoginThrottle } from './login-throttle-store.ts';

/** A user name and password, and what came with them. */
export interface LoginTry {
  username: string;
  password: string;
  address: string;
  /** What the form belongs to: a step that was given out for another is none. */
  binding: string;
  /** The cookie of known devices. */
  device?: string | undefined;
  /** The step that was taken. */
  step?: string | undefined;
}

/** Why a password is not even looked at. */
export type Obstacle =
  { outcome: 'throttled'; retryAfterSeconds: number } | { outcome: 'challenged'; step: LoginStep };

/** Stands before the passwords. */
export interface LoginGuard {
  /** Counts the attempt, and says what is in its way. */
  stop(attempt: LoginTry): Promise<Obstacle | undefined>;
  failed(attempt: LoginTry): Promise<void>;
  /** Forgets the failures before. Gives the cookie by which the browser is known from now on. */
  succeeded(attempt: LoginTry): Promise<string>;
}

interface Dependencies {
  throttle: LoginThrottle;
  patterns: LoginPatterns;
  steps: LoginSteps;
  devices: KnownDevices;
  /** Counts a login for the network, by the limits of everything that is asked for; seconds to wait, or 0. */
  limit: (address: string) => Promise<number>;
  audit: { record(entry: AuditEntry): void };
  clock: Clock;
}

/** So many accounts that fail in the same way are no coincidence: an office behind one address mistypes less. */
const suspiciousAccounts = 10;

/** A pattern is told of again only after this time. */
const quietMs = 900_000;

/** Slows guessers down, and makes who tries lists take steps. Browsers that are known pass by all of that. */
export function createLoginGuard(dependencies: Dependencies): LoginGuard {
  const { throttle, patterns, steps, devices, limit, audit, clock } = dependencies;
  const isNews = createReminder(clock);
  const isSuspicious = ({ accounts }: LoginPattern) => accounts >= suspiciousAccounts;

  function tell({ kind, accounts, name }: LoginPattern): void {
    if (!isNews(`${kind} ${name}`, quietMs)) return;
    audit.record(refusal('authentication.suspicious', { pattern: kind, accounts }));
  }

  function throttled(retryAfterSeconds: number): Obstacle {
    audit.record(refusal('authentication.throttled', { retryAfterSeconds }));
    return { outcome: 'throttled', retryAfterSeconds };
  }

  async function challenge(attempt: LoginTry): Promise<Obstacle | undefined> {
    const found = (await patterns.look(attempt)).filter(isSuspicious);
    if (found.length === 0) return undefined;
    const step = await steps.take(attempt.binding, attempt.step);
    if (step === undefined) return undefined;
    const { waitSeconds } = step;
    const kinds = found.map(({ kind }) => kind).join(', ');
    audit.record(refusal('authentication.challenged', { pattern: kinds, waitSeconds }));
    return { outcome: 'challenged', step };
  }

  return {
    async stop(attempt) {
      const { username, address } = attempt;
      const limited = await limit(address);
      if (limited > 0) return throttled(limited);
      const device = devices.find(attempt.device, username);
      const obstacle = device === undefined ? await challenge(attempt) : undefined;
      if (obstacle !== undefined) return obstacle;
      const wait = await throttle.reserve({ username, address, device });
      return wait > 0 ? throttled(wait) : undefined;
    },
    async failed(attempt) {
      const found = await patterns.failed(attempt);
      for (const pattern of found.filter(isSuspicious)) tell(pattern);
    },
    async succeeded(attempt) {
      const { username, address } = attempt;
      const device = devices.find(attempt.device, username);
      await throttle.succeeded({ username, address, device });
      await patterns.succeeded(attempt);
      return devices.remember(attempt.device, username);
    },
  };
}

function refusal(type: AuditEntry['type'], detail: Record<string, unknown>): AuditEntry {
  return { type, outcome: 'refused', actor: { type: 'customer' }, detail };
}
