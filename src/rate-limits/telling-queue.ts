import { remaining } from './count.ts';
import type { Entry } from './entry.ts';

/** Told whether a request is granted; undefined where the store could not say. */
export type Settle = (isGranted: boolean | undefined) => void;

/** A count that the store is to be told of, and the requests that wait for its word. */
export interface Telling {
  entry: Entry;
  settles: readonly Settle[];
}

/** What a process has to tell the store, or to learn from it. */
export interface TellingQueue {
  mark(entry: Entry): void;
  ask(entry: Entry, settle: Settle): void;
  /** The next ones, no two of the same name; they are no longer in the queue. */
  take(): Telling[];
  isEmpty(): boolean;
  /** Whether it is time for the next ones without a pause. */
  isPressing(): boolean;
}

/** Rows of one statement. */
const batchSize = 500;
/** While the store is away, what is beyond this is not told any more. */
const maxWaiting = 50_000;

/** What was counted and given back is none; of what is used up others may have given back. */
function isNews({ untold, meter, count }: Entry): boolean {
  return untold !== 0 || remaining(meter, count) === 0;
}

/** A queue in which nothing is yet. */
export function createTellingQueue(): TellingQueue {
  const waiting = new Map<string, Entry>();
  const asking = new Map<Entry, Settle[]>();

  return {
    mark(entry) {
      if (waiting.size < maxWaiting) waiting.set(entry.name, entry);
    },
    ask(entry, settle) {
      const others = asking.get(entry);
      if (others === undefined) asking.set(entry, [settle]);
      else others.push(settle);
    },
    take() {
      const batch = new Map<string, Telling>();
      for (const [entry, settles] of asking) {
        if (batch.has(entry.name)) continue; // forgotten and made anew meanwhile: the next time
        batch.set(entry.name, { entry, settles });
        asking.delete(entry);
      }
      for (const [name, entry] of waiting) {
        if (batch.size >= batchSize) break;
        if (!batch.has(name) && isNews(entry)) batch.set(name, { entry, settles: [] });
        if ((batch.get(name)?.entry ?? entry) === entry) waiting.delete(name);
      }
      return [...batch.values()];
    },
    isEmpty: () => waiting.size === 0 && asking.size === 0,
    isPressing: () => asking.size > 0 || waiting.size >= batchSize,
  };
}
