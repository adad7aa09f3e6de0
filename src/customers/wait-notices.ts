import { LRUCache } from 'lru-cache';
import type { Clock } from '../clock.ts';

/** Whether it is news that a subject has to wait; then it counts as told. */
export type IsNewWait = (subject: string, waitSeconds: number) => boolean;

/** As many are kept quiet at once; the one told of longest ago may be told of too early. */
const maxQuiet = 1000;

/** Short waits follow each other. */
const leastQuietSeconds = 60;

/** Tells once of a wait, however many don't wait: quiet until the wait that was told is over, a minute at least. */
export function createWaitNotices(clock: Clock): IsNewWait {
  const told = new LRUCache<string, { at: number; quietMs: number }>({ max: maxQuiet });
  return (subject, waitSeconds) => {
    const at = clock.now().getTime();
    const last = told.get(subject);
    // Clocks may be set back.
    if (last !== undefined && Math.abs(at - last.at) < last.quietMs) return false;
    told.set(subject, { at, quietMs: Math.max(waitSeconds, leastQuietSeconds) * 1000 });
    return true;
  };
}
