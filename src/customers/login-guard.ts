import type { AuditEntry } from '../audit/events.ts';
import type { Clock } from '../clock.ts';
import { createReminder } from '../observability/reminder.ts';
import { networkOf } from '../security/network-of.ts';
import type { KnownDevices } from './known-devices.ts';
import type { LoginPattern, LoginPatterns } from './login-pattern-store.ts';
import type { LoginStep, LoginSteps } from './login-steps.ts';
import type { LoginThrottle } from './login-throttle-store.ts';
import type { Journeys } from './travel/journeys.ts';
import type { Journey } from './travel/travel.ts';

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

/** Why a password is not even looked at; or, once it was right, not yet enough. */
export type Obstacle =
  { outcome: 'throttled'; retryAfterSeconds: number } | { outcome: 'challenged'; step: LoginStep };

/** Stands before the passwords. */
export interface LoginGuard {
  /** Counts the attempt, and says what is in its way. */
  stop(attempt: LoginTry): Promise<Obstacle | undefined>;
  failed(attempt: LoginTry): Promise<void>;
  /** Says what is in the way of a right password. */
  admit(attempt: LoginTry, customerId: string): Promise<Obstacle | undefined>;
  /** Forgets the failures before. Gives the cookie by which the browser is known from now on. */
  succeeded(attempt: LoginTry, customerId: string): Promise<string>;
}

interface Dependencies {
  throttle: LoginThrottle;
  patterns: LoginPatterns;
  steps: LoginSteps;
  devices: KnownDevices;
  /** Undefined when nobody knows where addresses are. */
  journeys: Journeys | undefined;
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
  /** Attempts with a step: it is good once, so nothing may ask for another. */
  const stepped = new WeakSet<LoginTry>();
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
    if (step === undefined) {
      stepped.add(attempt);
      return undefined;
    }
    const pattern = found.map(({ kind }) => kind).join(', ');
    audit.record(challenged(step, pattern));
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
    admit: createAdmission(dependencies, stepped),
    async succeeded(attempt, customerId) {
      const { username, address } = attempt;
      const device = devices.find(attempt.device, username);
      await throttle.succeeded({ username, address, device });
      await patterns.succeeded(attempt);
      await dependencies.journeys?.arrived(customerId, address);
      if (device === undefined) {
        audit.record(about(customerId, 'authentication.new_device', 'success'));
      }
      return devices.remember(attempt.device, username);
    },
  };
}

/**
 * Judges where a customer comes from when the password was right. Before that it would tell guessers which names are
 * customers', and where these are: an unknown name has no place to be far from. That a password is right they learn
 * by the step no sooner than by the login that follows it.
 */
function createAdmission(
  { journeys, steps, devices, throttle, audit, clock }: Dependencies,
  stepped: WeakSet<LoginTry>,
): LoginGuard['admit'] {
  const isNews = createReminder(clock);

  async function stepFor(attempt: LoginTry): Promise<LoginStep | undefined> {
    const isKnown = devices.find(attempt.device, attempt.username) !== undefined;
    return isKnown || stepped.has(attempt) ? undefined : steps.take(attempt.binding, attempt.step);
  }

  return async function admit(attempt, customerId) {
    const { username, address } = attempt;
    const journey = await journeys?.impossible(customerId, address);
    if (journey === undefined) return undefined;
    const step = await stepFor(attempt);
    const pattern = 'impossible_travel';
    if (isNews(`${customerId} ${networkOf(address)}`, quietMs)) {
      const outcome = step === undefined ? 'success' : 'refused';
      const detail = { pattern, ...roughly(journey) };
      audit.record({ ...about(customerId, 'authentication.suspicious', outcome), detail });
    }
    if (step === undefined) return undefined;
    await throttle.succeeded({ username, address }); // what was right is no failure
    audit.record({ ...challenged(step, pattern), customerId });
    return { outcome: 'challenged', step };
  };
}

/** To 100 km: enough to judge by, too little to find somebody. */
function roughly({ km, kmPerHour }: Journey): Journey {
  const hundreds = (n: number) => Math.round(n / 100) * 100;
  return { km: hundreds(km), kmPerHour: hundreds(kmPerHour) };
}

function challenged({ waitSeconds }: LoginStep, pattern: string): AuditEntry {
  return refusal('authentication.challenged', { pattern, waitSeconds });
}

function about(
  customerId: string,
  type: AuditEntry['type'],
  outcome: AuditEntry['outcome'],
): AuditEntry {
  return { type, outcome, actor: { type: 'customer', id: customerId }, customerId };
}

function refusal(type: AuditEntry['type'], detail: Record<string, unknown>): AuditEntry {
  return { type, outcome: 'refused', actor: { type: 'customer' }, detail };
}
