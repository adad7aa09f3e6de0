import type { ReplayMemory } from './options.ts';
import { Unavailable } from './refusal.ts';

/** About 20 MB, and 1,300 proofs a second: only holders of good tokens fill it. */
const usualMax = 100_000;

/**
 * Remembers proofs in this process: several processes need a store that they share. Throws {@link Unavailable} when it is full, as
 * none may be forgotten before its time.
 */
export function createReplayMemory(now: () => Date, max = usualMax): ReplayMemory {
  const ends = new Map<string, number>();

  function forgetEnded(present: number): void {
    for (const [id, end] of ends) {
      if (end > present) return; // in the order in which they came, which is that of their ends
      ends.delete(id);
    }
  }

  return {
    firstUse(id, expiresAt) {
      forgetEnded(now().getTime());
      if (ends.has(id)) return false;
      if (ends.size >= max) throw new Unavailable('too many DPoP proofs at once');
      ends.set(id, expiresAt.getTime());
      return true;
    },
  };
}
