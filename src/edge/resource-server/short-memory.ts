/** Answers that are remembered for a moment. */
export interface ShortMemory<T> {
  /** What `read` gave under `key` within the time, or is about to give; failures are not remembered. */
  recall(key: string, read: () => Promise<T>): Promise<T>;
  /** Forgets everything; who waits for an answer still gets it. */
  clear(): void;
  /** The oldest make room for new ones, so this is bounded. */
  size(): number;
}

interface Entry<T> {
  answer: Promise<T>;
  /** When it was asked for: an answer is as old as its question. */
  at: number;
}

/** Remembers at most `max` answers for `ms` milliseconds each. */
export function createShortMemory<T>(options: {
  ms: number;
  max: number;
  now: () => Date;
}): ShortMemory<T> {
  const entries = new Map<string, Entry<T>>();
  const isFresh = (at: number, present: number) => Math.abs(present - at) < options.ms;

  function makeRoom(present: number): void {
    for (const [key, { at }] of entries) {
      if (isFresh(at, present) && entries.size < options.max) return;
      entries.delete(key);
    }
  }
  return {
    recall(key, read) {
      const present = options.now().getTime();
      const known = entries.get(key);
      if (known !== undefined && isFresh(known.at, present)) return known.answer;
      entries.delete(key);
      makeRoom(present);
      const entry: Entry<T> = { answer: read(), at: present };
      entries.set(key, entry);
      entry.answer.catch(() => {
        if (entries.get(key) === entry) entries.delete(key);
      });
      return entry.answer;
    },
    clear() {
      entries.clear();
    },
    size: () => entries.size,
  };
}
