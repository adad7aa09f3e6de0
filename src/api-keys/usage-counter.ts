import { dayOf } from '../clock.ts';
import type { Logger } from '../observability/logger.ts';
import { createRepeatedWork } from '../observability/repeated-work.ts';
import type { UsageDelta, UsageStore } from './usage-store.ts';

/** One use of a key. */
export interface KeyUse {
  keyId: string;
  resourceServer: string;
  outcome: 'accepted' | 'refused';
  at: Date;
}

/** Counts uses in memory and writes the sums from time to time, so that no request waits for it. */
export interface UsageCounter {
  count(use: KeyUse): void;
  start(): void;
  /** Writes what there is; keeps it where that fails. */
  flush(): Promise<void>;
  /** Writes for the last time. Rejects where the database does not take it. */
  stop(): Promise<void>;
}

interface Dependencies {
  store: Pick<UsageStore, 'add'>;
  logger: Logger;
  intervalMs: number;
}

/** One statement has so many sums at most: some 200 kB. */
const batchSize = 1000;

/** Sums by key, day and resource server: what waits is bounded by the keys that there are. */
export function createUsageCounter({ store, logger, intervalMs }: Dependencies): UsageCounter {
  let sums = new Map<string, UsageDelta>();
  let writing: Promise<void> = Promise.resolve();

  async function write(): Promise<void> {
    const taken = [...sums.values()];
    sums = new Map();
    for (let start = 0; start < taken.length; start += batchSize) {
      try {
        await store.add(taken.slice(start, start + batchSize));
      } catch (error) {
        for (const delta of taken.slice(start)) merge(sums, delta);
        throw error;
      }
    }
  }

  /** One after another: what one takes, no other does. */
  function flush(): Promise<void> {
    const next = writing.then(write);
    writing = next.catch(() => undefined);
    return next;
  }

  const work = createRepeatedWork({
    ...{ run: flush, intervalMs, first: 'later' },
    onFailure(error) {
      logger.warn('The use of API keys was not written; trying again later', { error });
    },
  });

  return {
    count({ keyId, resourceServer, outcome, at }) {
      const accepted = outcome === 'accepted' ? 1 : 0;
      const lastUsedAt = accepted === 1 ? at : undefined;
      const sum = { accepted, refused: 1 - accepted, lastUsedAt };
      merge(sums, { keyId, day: dayOf(at), resourceServer, ...sum });
    },
    flush,
    start() {
      work.start();
    },
    async stop() {
      await work.stop();
      await flush();
    },
  };
}

/** Whether `text` is a day of the calendar as `dayOf` writes it, of the years 1 to 9999, which Postgres knows. */
export function isDay(text: string): boolean {
  if (!/^\d{4}-\d\d-\d\d$/.test(text) || text < '0001') return false;
  const at = new Date(text);
  // The 31st of February is taken for the 3rd of March.
  return !Number.isNaN(at.getTime()) && dayOf(at) === text;
}

function merge(sums: Map<string, UsageDelta>, delta: UsageDelta): void {
  const place = `${delta.keyId} ${delta.day} ${delta.resourceServer}`;
  const sum = sums.get(place);
  if (sum === undefined) {
    sums.set(place, { ...delta });
    return;
  }
  sum.accepted += delta.accepted;
  sum.refused += delta.refused;
  const isLater =
    delta.lastUsedAt !== undefined &&
    !(sum.lastUsedAt !== undefined && sum.lastUsedAt > delta.lastUsedAt);
  if (isLater) sum.lastUsedAt = delta.lastUsedAt;
}
