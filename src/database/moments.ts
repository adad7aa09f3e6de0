import { LRUCache } from 'lru-cache';
import type { Clock } from '../clock.ts';
import type { Logger } from '../observability/logger.ts';
import { runWithoutRequest } from '../observability/request-context.ts';

/** When things were seen last: noted at no cost for the request, and written in groups. */
export interface Moments {
  /** Notes that it is seen now. Within a minute of the last note this does nothing. */
  note(id: string): void;
  /** Writes what was noted before. Never rejects. */
  flush(): Promise<void>;
}

/** What they stand on. */
export interface MomentsOptions {
  /** One statement for all; a moment that is older than the stored one changes nothing. */
  write: (moments: ReadonlyMap<string, Date>) => Promise<void>;
  clock: Clock;
  logger: Logger;
}

/** So often an id is written by one process. */
const pauseMs = 60_000;
/** How long a moment waits for company. */
const flushMs = 1000;
/** Beyond, moments are lost: they are told to people, and decide nothing. */
const maxIds = 10_000;

/** Moments of one kind. What could not be written is tried again with what comes next. */
export function createMoments({ write, clock, logger }: MomentsOptions): Moments {
  const written = new LRUCache<string, number>({ max: maxIds });
  let waiting = new Map<string, Date>();
  let timer: NodeJS.Timeout | undefined;
  let writing = Promise.resolve();

  async function writeAll(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    const taken = waiting;
    if (taken.size === 0) return;
    waiting = new Map();
    try {
      await write(taken);
    } catch (error) {
      logger.warn('When things were seen last was not written; trying again later', { error });
      waiting = new Map([...taken, ...waiting].slice(0, maxIds));
    }
  }

  function flush(): Promise<void> {
    writing = writing.then(() => runWithoutRequest(writeAll));
    return writing;
  }

  return {
    note(id) {
      const now = clock.now();
      const last = written.get(id);
      if (last !== undefined && now.getTime() - last < pauseMs) return;
      if (waiting.size >= maxIds) return;
      written.set(id, now.getTime());
      waiting.set(id, now);
      timer ??= setTimeout(() => void flush(), flushMs).unref();
    },
    flush,
  };
}

/** The moments as two texts that a statement takes apart: `unnest(string_to_array($1, ' '), string_to_array($2, ' ')::timestamptz[])`. */
export function momentColumns(moments: ReadonlyMap<string, Date>): [ids: string, times: string] {
  const times = [...moments.values()].map((at) => at.toISOString());
  return [[...moments.keys()].join(' '), times.join(' ')];
}
