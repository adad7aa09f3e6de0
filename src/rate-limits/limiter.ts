import { LRUCache } from 'lru-cache';
import type { Clock } from '../clock.ts';
import { add, emptyCount, moveOn, remaining } from './count.ts';
import { verdictOf } from './entry.ts';
import type { Entry, Verdict } from './entry.ts';
import { meterOf } from './rule.ts';
import type { Meter, Rule } from './rule.ts';
import { createSharedCounts } from './shared-counts.ts';
import type { SharedOptions } from './tellings.ts';

/** Counts requests and says which are too many. */
export interface Limiter {
  /** Counts a request unless it is refused. Never fails; a promise only where a store has to be asked. */
  admit(rule: Rule, subject: string): Verdict | Promise<Verdict>;
  /** Takes back what `admit` counted. */
  giveBack(rule: Rule, subject: string): void;
  /** Tells the store what it was not told yet. */
  close(): Promise<void>;
}

/** What a limiter stands on. */
export interface LimiterOptions {
  clock: Clock;
  /** Subjects remembered at most; beyond them the one that was seen longest ago is forgotten. */
  maxSubjects: number;
  /** Where several processes count together; without it this one counts alone. */
  shared?: SharedOptions | undefined;
}

/** A limiter. */
export function createLimiter({ clock, maxSubjects, shared: sharing }: LimiterOptions): Limiter {
  const entries = new LRUCache<string, Entry>({ max: maxSubjects });
  const meters = new WeakMap<Rule, Metered>();
  const now = () => clock.now().getTime();
  const shared = sharing && createSharedCounts(sharing, now);

  function meteredBy(rule: Rule): Metered {
    const known = meters.get(rule);
    if (known !== undefined) return known;
    const metered = { meter: meterOf(rule), subject: '', name: '' };
    meters.set(rule, metered);
    return metered;
  }

  /** As it is at this moment. */
  function entryFor(rule: Rule, subject: string, nowMs: number): Entry {
    const metered = meteredBy(rule);
    const { meter } = metered;
    const name = nameOf(metered, rule, subject);
    const known = entries.get(name);
    if (known !== undefined) {
      moveOn(meter, known.count, nowMs);
      return known;
    }
    const count = emptyCount(meter, nowMs);
    const entry: Entry = { name, rule, meter, count, untold: 0, untoldSince: 0, telling: 0 };
    entries.set(name, entry);
    return entry;
  }

  return {
    admit(rule, subject) {
      const nowMs = now();
      const entry = entryFor(rule, subject, nowMs);
      if (shared !== undefined) return shared.admit(entry, nowMs);
      const allowed = remaining(entry.meter, entry.count) > 0;
      if (allowed) add(entry.count, 1);
      return verdictOf(entry, allowed, nowMs);
    },
    giveBack(rule, subject) {
      const entry = entryFor(rule, subject, now());
      if (shared === undefined) add(entry.count, -1);
      else shared.giveBack(entry);
    },
    async close() {
      await shared?.close();
    },
  };
}

/** How a rule counts, and the subject that it was asked about last: what one request counted, it often gives back. */
interface Metered {
  meter: Meter;
  subject: string;
  name: string;
}

function nameOf(last: Metered, rule: Rule, subject: string): string {
  if (last.name === '' || last.subject !== subject) {
    last.subject = subject;
    last.name = `${rule.name} ${last.meter.shape} ${subject}`;
  }
  return last.name;
}
