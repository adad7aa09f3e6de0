import type { AuditEntry } from '../audit/events.ts';
import type { Clock } from '../clock.ts';
import { createReminder } from '../observability/reminder.ts';
import { networkOf } from '../security/network-of.ts';
import { normaliseUsername } from './customer.ts';
import type { DeviceRecognition } from './device-recognition.ts';
import type { LoginPattern, LoginPatterns } from './login-pattern-store.ts';
import type { LoginStep, LoginSteps } from './login-steps.ts';
import type { LoginThrottle } from './login-throttle-store.ts';
import type { Journeys } from './travel/journeys.ts';
import type { Journey } from './travel/travel.ts';
import { createWaitNotices } from './wait-notices.ts';

/** A user name and password, and what came with them. */
export interface LoginTry {
  username: string;
  password: string;
  address: string;
  /** What the form belongs to, without spaces: a step that was given out for another is none. */
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
  devices: DeviceRecognition;
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

/** Slows guessers down, and makes who tries lists take steps. Browsers that are known pass by all but `limit`. */
export function createLoginGuard(dependencies: Dependencies): LoginGuard {
  const { throttle, patterns, steps, devices, limit, audit, clock } = dependencies;
  const tell = createTelling({ audit, clock });
  /** Attempts with a step: it is good once, so nothing may ask for another. */
  const stepped = new WeakSet<LoginTry>();
  const isSuspicious = ({ accounts }: LoginPattern) => accounts >= suspiciousAccounts;

  function throttled(subject: string, retryAfterSeconds: number): Obstacle {
    tell.wait(subject, retryAfterSeconds);
    return { outcome: 'throttled', retryAfterSeconds };
  }

  /** Counts the attempt as a failure until it succeeds. */
  async function reserve({ username, address }: LoginTry, device: string | undefined) {
    let subject = '';
    const wait = await throttle.reserve({ username, address, device }, (counter) => {
      subject = counter;
    });
    return wait > 0 ? throttled(subject, wait) : undefined;
  }

  async function challenge(attempt: LoginTry): Promise<Obstacle | undefined> {
    const found = (await patterns.look(attempt)).filter(isSuspicious);
    if (found.length === 0) return undefined;
    const step = await steps.take(bindingOf(attempt), attempt.step);
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
      const { address } = attempt;
      const limited = await limit(address);
      if (limited > 0) return throttled(networkOf(address), limited);
      const device = await devices.recognise(attempt);
      const obstacle = device === undefined ? await challenge(attempt) : undefined;
      return obstacle ?? reserve(attempt, device);
    },
    async failed(attempt) {
      const found = await patterns.failed(attempt);
      for (const pattern of found.filter(isSuspicious)) tell.pattern(pattern);
    },
    admit: createAdmission(dependencies, stepped),
    async succeeded(attempt, customerId) {
      const { username, address } = attempt;
      const device = await devices.recognise(attempt);
      await throttle.succeeded({ username, address, device });
      await patterns.succeeded(attempt);
      await dependencies.journeys?.arrived(customerId, address);
      if (device === undefined) {
        audit.record(about(customerId, 'authentication.new_device', 'success'));
      }
      return devices.remember(attempt);
    },
  };
}

/** Tells the audit trail once of what is done many times. */
function createTelling({ audit, clock }: Pick<Dependencies, 'audit' | 'clock'>) {
  const isNews = createReminder(clock);
  const isNewWait = createWaitNotices(clock);
  return {
    pattern({ kind, accounts, name }: LoginPattern): void {
      if (!isNews(`${kind} ${name}`, quietMs)) return;
      audit.record(refusal('authentication.suspicious', { pattern: kind, accounts }));
    },
    wait(subject: string, retryAfterSeconds: number): void {
      if (!isNewWait(subject, retryAfterSeconds)) return;
      audit.record(refusal('authentication.throttled', { retryAfterSeconds }));
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
    const isKnown = (await devices.recognise(attempt)) !== undefined;
    if (isKnown || stepped.has(attempt)) return undefined;
    return steps.take(bindingOf(attempt), attempt.step);
  }

  return async function admit(attempt, customerId) {
    const { username, address } = attempt;
    const journey = await journeys?.impossible(customerId, address);
    if (journey === undefined) return undefined;
    const step = await stepFor(attempt);
    const pattern = 'impossible_travel';
    const outcome = step === undefined ? 'success' : 'refused';
    if (isNews(`${outcome} ${customerId} ${networkOf(address)}`, quietMs)) {
      const detail = { pattern, ...roughly(journey) };
      audit.record({ ...about(customerId, 'authentication.suspicious', outcome), detail });
    }
    if (step === undefined) return undefined;
    await throttle.succeeded({ username, address }); // what was right is no failure
    audit.record({ ...challenged(step, pattern), customerId });
    return { outcome: 'challenged', step };
  };
}

/** A step that was waited for is none for other accounts. */
function bindingOf({ binding, username }: LoginTry): string {
  return `${binding} ${normaliseUsername(username)}`;
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
