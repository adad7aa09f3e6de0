import { LRUCache } from 'lru-cache';
import { memoryMs } from './changes.ts';
import type { ChangeSource, ChangeTopic } from './changes.ts';

/** Reads that are remembered while changes are heard, and no longer than a minute. */
export interface ChangeMemory<Value> {
  /** At once; undefined for what is not remembered. */
  known(key: string): Value | undefined;
  /** What is remembered, or one read for all who ask at once. */
  recall(key: string): Promise<Value>;
  /** To be called after everything that this process writes. */
  forget(key?: string): void;
}

interface Options<Value> {
  changes: ChangeSource;
  topic: ChangeTopic;
  /** Of a change, what to forget; all of it where it says undefined. The key that changed unless said. */
  keyOf?: (changed: string) => string | undefined;
  max: number;
  /**
   * Must ask the database: what a request has read before may be older than a change that was heard. Absence is a value too: a
   * read without one fails when a change overtakes it.
   */
  read: (key: string) => Promise<Value>;
}

/** Creates one. */
export function createChangeMemory<Value extends object | string>({
  changes,
  topic,
  max,
  read,
  keyOf = (changed) => changed,
}: Options<Value>): ChangeMemory<Value> {
  const cache = new LRUCache<string, Value>({
    max,
    ttl: memoryMs(changes),
    ttlResolution: 0, // else each millisecond in which it is asked sets a timer
    ignoreFetchAbort: true, // a read that a change overtakes still answers who asked; it is not remembered
    fetchMethod(key, _stale, { options }) {
      options.ttl = memoryMs(changes);
      return read(key);
    },
  });

  function forget(key?: string): void {
    if (key === undefined) cache.clear();
    else cache.delete(key);
  }

  changes.subscribe(topic, (changed) => {
    forget(changed === undefined ? undefined : keyOf(changed));
  });
  return {
    known: (key) => cache.get(key),
    recall: async (key) => cache.get(key) ?? cache.forceFetch(key),
    forget,
  };
}
