import { LRUCache } from 'lru-cache';
import type { Clock } from '../../clock.ts';

/** Something fetched, and how long it says that it holds. */
export interface Fetched<T> {
  readonly value: T;
  readonly holdsUntil: Date;
  /** What it counts for in `maxSize`; 1 unless told. */
  readonly size?: number;
}

/** Fetches an answer; gets the known one, so that it can tell an older one from a newer. */
export type Load<T> = (known: T | undefined) => Promise<Fetched<T>>;

/** How long answers are kept: until they end, but no shorter than the floor and no longer than the ceiling. */
export interface CacheLimits {
  /** Also how long a failure is kept before the next attempt. */
  readonly floorSeconds: number;
  readonly ceilingSeconds: number;
  readonly maxSize: number;
}

/** Answers of other servers, found by where they come from. */
export interface RevocationCache<T> {
  /**
   * The answer, fetched when there is none or it is due; one fetch at a time for a key, however many ask. In the last
   * quarter of its time the known answer is given and the next one fetched in the background. When fetching fails the
   * last answer stays, whether it still holds is for the caller to judge; without one the failure is thrown.
   */
  get(key: string, load: Load<T>): Promise<T>;
  /** What is known without asking. */
  known(): Iterable<readonly [key: string, value: T]>;
}

interface Entry<T> {
  value?: T;
  failure?: unknown;
  size: number;
  /** Milliseconds since 1970; from then on the next one is fetched in the background. */
  refreshAt: number;
  /** From then on callers wait for the next one. */
  dueAt: number;
  loading?: Promise<void>;
}

/** The part of its time after which an answer is renewed. */
const refreshAfter = 0.75;

/** An empty cache; what was not asked for the longest is forgotten first. */
export function createRevocationCache<T>(
  limits: CacheLimits & { readonly clock: Clock },
): RevocationCache<T> {
  const { clock, floorSeconds, ceilingSeconds, maxSize } = limits;
  const entries = new LRUCache<string, Entry<T>>({
    maxSize,
    sizeCalculation: ({ size }) => size,
  });

  async function renew(key: string, entry: Entry<T>, load: Load<T>): Promise<void> {
    const startedAt = clock.now().getTime();
    try {
      const { value, holdsUntil, size = 1 } = await load(entry.value);
      const seconds = (holdsUntil.getTime() - startedAt) / 1000;
      const lifetimeMs = Math.min(Math.max(seconds, floorSeconds), ceilingSeconds) * 1000;
      entry.refreshAt = startedAt + lifetimeMs * refreshAfter;
      entry.dueAt = startedAt + lifetimeMs;
      entry.value = value;
      entry.size = size;
      delete entry.failure;
      entries.delete(key); // or the cache would keep the weight of before for an object that it knows
      entries.set(key, entry);
    } catch (error) {
      entry.failure = error;
      entry.refreshAt = entry.dueAt = clock.now().getTime() + floorSeconds * 1000;
    } finally {
      delete entry.loading;
    }
  }

  return {
    async get(key, load) {
      const entry = entries.get(key) ?? { size: 1, refreshAt: 0, dueAt: 0 };
      if (!entries.has(key)) entries.set(key, entry);
      const now = clock.now().getTime();
      if (now >= entry.refreshAt) entry.loading ??= renew(key, entry, load); // it never rejects
      if (now >= entry.dueAt) await entry.loading;
      if (entry.value !== undefined) return entry.value;
      throw entry.failure;
    },
    *known() {
      for (const [key, { value }] of entries.entries()) {
        if (value !== undefined) yield [key, value];
      }
    },
  };
}
