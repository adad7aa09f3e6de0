import { LRUCache } from 'lru-cache';
import { memoryMs } from '../database/changes.ts';
import type { ChangeSource } from '../database/changes.ts';
import type { Sql } from '../database/sql.ts';
import { asKey, createKeyRows } from './api-key-row-store.ts';
import type { KeyRow } from './api-key-row-store.ts';
import { digestOf } from './api-key-store.ts';
import type { ApiKey } from './api-key.ts';
import { matcherOf } from './key-addresses.ts';

/** A key that is in use. */
export interface RememberedKey {
  key: ApiKey;
  /** Whether it may be used from an address. */
  admits: (address: string | undefined) => boolean;
}

/** Keys by what their users show. */
export interface KeyMemory {
  /** The key, whatever has become of it; undefined for one that nobody made. At once where it is remembered. */
  find(secret: string): Promise<RememberedKey | undefined>;
  /** What a look-up costs besides reading: for texts that are not worth one. */
  spend(secret: string): void;
}

interface Dependencies {
  sql: Sql;
  digestKey: Buffer;
  /** What digests were made with before: a key that fits one of them gets a new digest. */
  olderDigestKeys: readonly Buffer[];
  /** Changes that other processes made. */
  changes: ChangeSource;
}

/** About 2 kB a key. */
const maxRemembered = 20_000;
/** Guesses have a memory of their own: they must not push out what is in use. */
const maxAbsent = 10_000;

/** The key is looked up by its keyed digest alone, so the time that it takes tells nothing about another key. */
export function createKeyMemory({ changes, digestKey, ...deps }: Dependencies): KeyMemory {
  const read = createReading({ digestKey, ...deps });
  const places = new Map<string, string>();
  const known = new LRUCache<string, RememberedKey>({
    max: maxRemembered,
    ttlResolution: 0, // else each millisecond in which it is asked sets a timer
    ttl: 1000,
    dispose({ key }, place) {
      if (places.get(key.id) === place) places.delete(key.id);
    },
  });
  const absent = new LRUCache<string, true>({ max: maxAbsent, ttl: 1000, ttlResolution: 0 });
  const pending = new Map<string, Promise<RememberedKey | undefined>>();
  let heard = 0;

  changes.subscribe('api-keys', (id) => {
    heard += 1;
    pending.clear(); // what is being read now may be of before the change
    if (id === undefined) {
      known.clear();
      absent.clear();
    } else {
      const place = places.get(id);
      if (place !== undefined) known.delete(place);
    }
  });

  async function look(place: string, secret: string): Promise<RememberedKey | undefined> {
    const before = heard;
    const found = await read(secret);
    const ttl = memoryMs(changes);
    if (found === undefined) absent.set(place, true, { ttl });
    else if (heard === before) {
      known.set(place, found, { ttl });
      places.set(found.key.id, place);
    }
    return found;
  }

  function lookOnce(place: string, secret: string): Promise<RememberedKey | undefined> {
    const running = pending.get(place);
    if (running !== undefined) return running;
    const looking = look(place, secret).finally(() => {
      if (pending.get(place) === looking) pending.delete(place);
    });
    pending.set(place, looking);
    return looking;
  }

  const placeOf = (secret: string) => Buffer.from(digestOf(digestKey, secret)).toString('latin1');

  return {
    find(secret) {
      const place = placeOf(secret);
      const remembered = known.get(place);
      if (remembered !== undefined) return Promise.resolve(remembered);
      return absent.has(place) ? Promise.resolve(undefined) : lookOnce(place, secret);
    },
    spend(secret) {
      placeOf(secret);
    },
  };
}

/** Reads a key by its digest under the present digest key or one of before, which it then leaves. */
function createReading({
  sql,
  digestKey,
  olderDigestKeys,
}: Omit<Dependencies, 'changes'>): (secret: string) => Promise<RememberedKey | undefined> {
  const rows = createKeyRows(sql);

  async function rowOf(secret: string): Promise<KeyRow | undefined> {
    const digest = digestOf(digestKey, secret);
    const row = await rows.byDigest(digest);
    if (row !== undefined) return row;
    for (const older of olderDigestKeys) {
      const from = digestOf(older, secret);
      const found = await rows.byDigest(from);
      if (found === undefined) continue;
      await rows.renewDigest(found.id, { from, to: digest });
      return found;
    }
    return undefined;
  }

  return async (secret) => {
    const row = await rowOf(secret);
    if (row === undefined) return undefined;
    const key = asKey(row);
    return { key, admits: matcherOf(key.addresses) };
  };
}
