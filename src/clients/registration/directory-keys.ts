import { readFile } from 'node:fs/promises';
import type { JSONWebKeySet } from 'jose';
import type { Clock } from '../../clock.ts';
import type { Directory } from './directory.ts';
import { fetchKeySet, parseKeySet } from './key-set.ts';
import type { Fetch } from './key-set.ts';

/** The JWK sets of directories, kept for a while. */
export interface DirectoryKeys {
  /**
   * The directory's keys; `kid` that is not among them has them asked for again. However often it is called, and whether
   * the directory answers or not, it is asked once in 30 seconds. Rejects when there are no keys that are young enough
   * to be believed, or these can't be had.
   */
  keysOf(directory: Directory, kid: unknown): Promise<JSONWebKeySet>;
}

interface Dependencies {
  fetch: Fetch;
  clock: Clock;
}

interface Known {
  keys: JSONWebKeySet;
  readAt: number;
}

/** When it was asked last, and why that failed, if it did. */
interface Attempt {
  at: number;
  failure?: unknown;
}

/** Whoever sends unknown key ids must not make us flood the directory. */
const floorMs = 30_000;
/** A key that the directory withdrew is believed no longer; the UAE's rules allow 20 minutes. */
const ceilingMs = 600_000;

/** Keys by URL or file, asked for once however many requests wait for them. */
export function createDirectoryKeys({ fetch, clock }: Dependencies): DirectoryKeys {
  const known = new Map<string, Known>();
  const attempts = new Map<string, Attempt>();
  const pending = new Map<string, Promise<JSONWebKeySet>>();
  const now = () => clock.now().getTime();

  async function read({ issuer, keys }: Directory): Promise<JSONWebKeySet> {
    try {
      const found =
        'url' in keys
          ? await fetchKeySet(fetch, keys.url)
          : parseKeySet(await readFile(keys.file, 'utf8'), keys.file);
      known.set(issuer, { keys: found, readAt: now() });
      attempts.set(issuer, { at: now() });
      return found;
    } catch (failure) {
      attempts.set(issuer, { at: now(), failure });
      throw failure;
    }
  }

  function readOnce(directory: Directory): Promise<JSONWebKeySet> {
    const running = pending.get(directory.issuer);
    if (running !== undefined) return running;
    const started = read(directory).finally(() => pending.delete(directory.issuer));
    pending.set(directory.issuer, started);
    return started;
  }

  function isWithin(since: number, limitMs: number): boolean {
    const age = now() - since;
    return age >= 0 && age < limitMs;
  }

  return {
    async keysOf(directory, kid) {
      const found = known.get(directory.issuer);
      const keys = found && isWithin(found.readAt, ceilingMs) ? found.keys : undefined;
      const last = attempts.get(directory.issuer);
      const isTooSoon = last !== undefined && isWithin(last.at, floorMs);
      const fits = kid === undefined || keys?.keys.some((key) => key.kid === kid) === true;
      if (keys !== undefined && (fits || isTooSoon)) return keys;
      if (isTooSoon) throw last.failure;
      return readOnce(directory);
    },
  };
}
