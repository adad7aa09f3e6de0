import type { Count } from './count.ts';
import type { Meter } from './rule.ts';

/** What one process has to say about one count. */
export interface Charge {
  /** 32 bytes. */
  key: Buffer;
  meter: Meter;
  /** Requests that it admitted since it said so last; fewer than none where more were taken back. */
  used: number;
  /** Further requests that it would like to admit. */
  want: number;
}

/** What all processes have counted together. */
export interface Charged {
  count: Count;
  /** How many of the wanted requests fit, and were counted. */
  granted: number;
}

/**
 * Where several processes count together. Each charge is one step: what others charge comes before or after it, never
 * in between. Rejects where the store can't be had; whether it counted is then unknown.
 */
export interface LimitStore {
  /** Charges with different keys; the answers come in their order. */
  charge(charges: readonly Charge[], nowMs: number): Promise<Charged[]>;
  close(): Promise<void>;
}
