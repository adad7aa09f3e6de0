import { msUntilMore, remaining } from './count.ts';
import type { Count } from './count.ts';
import type { Meter, Rule } from './rule.ts';

/** Whether a request may go on. */
export interface Verdict {
  allowed: boolean;
  /** Further requests that would be admitted now. */
  remaining: number;
  /** Seconds until more of them are, rounded up; 0 where none was counted. */
  resetSeconds: number;
  /** Refused only because the shared store is away. */
  unavailable: boolean;
}

/** What one process knows of a rule and a subject. */
export interface Entry {
  /** Of the rule, how it counts, and the subject. */
  name: string;
  rule: Rule;
  meter: Meter;
  count: Count;
  /** Counted in `count`; the store does not know it yet. */
  untold: number;
  /** When the first of them was, in milliseconds; 0 when the store could not be told of it. */
  untoldSince: number;
  /** The store is being told at this moment. */
  telling: number;
  /** Its name in the store, once it was needed. */
  key?: Buffer;
}

/** What a count that time has moved on says of a request. */
export function verdictOf({ meter, count }: Entry, allowed: boolean, nowMs: number): Verdict {
  return {
    allowed,
    remaining: remaining(meter, count),
    resetSeconds: Math.ceil(msUntilMore(meter, count, nowMs) / 1000),
    unavailable: false,
  };
}
