import { LRUCache } from 'lru-cache';
import type { Clock } from '../clock.ts';

/** Whether it is time to tell of `name` (again), after `quietMs` without a word; then it counts as told. */
export type IsNews = (name: string, quietMs: number) => boolean;

/** As many are kept quiet at once; the one told of longest ago may be told of too early. */
const maxQuiet = 1000;

/** What is told once for many: whoever repeats it could fill logs and audit trail otherwise. */
export function createReminder(clock: Clock): IsNews {
  const told = new LRUCache<string, number>({ max: maxQuiet });
  return (name, quietMs) => {
    const now = clock.now().getTime();
    const last = told.get(name);
    // Clocks may be set back.
    if (last !== undefined && Math.abs(now - last) < quietMs) return false;
    told.set(name, now);
    return true;
  };
}
