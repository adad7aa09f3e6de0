import { add, remaining } from './count.ts';
import { verdictOf } from './entry.ts';
import type { Entry, Verdict } from './entry.ts';
import { createTellings } from './tellings.ts';
import type { SharedOptions } from './tellings.ts';

/** The counts of one process that go into a shared store. */
export interface SharedCounts {
  admit(entry: Entry, nowMs: number): Verdict | Promise<Verdict>;
  giveBack(entry: Entry): void;
  close(): Promise<void>;
}

/**
 * A process admits on its own what a rule's slack allows, and tells the store of many counts at once: the store is not
 * asked for each request. What goes beyond the slack waits for the store's word. So all processes together never admit
 * more than the limit and each one's slack.
 */
export function createSharedCounts(options: SharedOptions, now: () => number): SharedCounts {
  const tellings = createTellings(options, now);

  function count(entry: Entry, requests: number): void {
    add(entry.count, requests);
    if (entry.untold === 0) entry.untoldSince = now();
    entry.untold += requests;
    tellings.mark(entry);
  }

  /** Without the store: by what this process knows. */
  function alone(entry: Entry, nowMs: number): Verdict {
    if (entry.rule.whenStoreIsDown === 'closed') {
      const resetSeconds = Math.ceil(options.retryMs / 1000);
      return { allowed: false, remaining: 0, resetSeconds, unavailable: true };
    }
    const allowed = remaining(entry.meter, entry.count) > 0;
    if (allowed) count(entry, 1);
    return verdictOf(entry, allowed, nowMs);
  }

  async function ask(entry: Entry): Promise<Verdict> {
    const isGranted = await tellings.ask(entry);
    return isGranted === undefined ? alone(entry, now()) : verdictOf(entry, isGranted, now());
  }

  return {
    admit(entry, nowMs) {
      if (tellings.isAway()) return alone(entry, nowMs);
      if (remaining(entry.meter, entry.count) === 0) {
        tellings.mark(entry); // others may have given back
        return verdictOf(entry, false, nowMs);
      }
      const { slack } = entry.meter;
      // What was given back is no leave to go on without the store where that must be asked each time.
      if (slack === 0 || entry.untold + entry.telling >= slack) return ask(entry);
      count(entry, 1);
      return verdictOf(entry, true, nowMs);
    },
    giveBack(entry) {
      count(entry, -1);
    },
    close: () => tellings.close(),
  };
}
