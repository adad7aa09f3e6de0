import { LRUCache } from 'lru-cache';
import type { Clock } from '../clock.ts';

/** Whether it is time to tell of `name` (again); then it counts as told, and there is quiet about it for `quietMs`. */
export type IsNews = (name: string, quietMs: number) => boolean;

/** As many are kept quiet at once; the one told of longest ago may be told of too early. */
const maxQuiet = 1000;

/** What is told once for many: whoever repeats it could fill logs and audit trail otherwise. */
export function createReminder(clock: Clock): IsNews {
  const told = new LRUCache<string, { at: number; quietMs: number }>({ max: maxQuiet });
  return (name, quietMs) => {
    const at = clock.now().getTime();
    const last = told.get(name);
    // Clocks may be set back.
    if (last !== undefined && Math.abs(at - last.at) < last.quietMs) return false;
    told.set(name, { at, quietMs });
    return true;
  };
}
