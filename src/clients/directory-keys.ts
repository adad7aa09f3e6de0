import { readFile } from 'node:fs/promises';
import type { JSONWebKeySet } from 'jose';
import type { Clock } from '../clock.ts';
import type { Directory } from './directory.ts';
import { fetchKeySet, parseKeySet } from './key-set.ts';
import type { Fetch } from './key-set.ts';

/** The JWK sets of directories, kept for a while. */
export interface DirectoryKeys {
  /**
   * The directory's keys; `kid` that is not among them has them asked for again, at most once in 30 seconds. Rejects
   * when there are none that are young enough to be believed.
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

/** Whoever sends unknown key ids must not make us flood the directory. */
const floorMs = 30_000;
/** A key that the directory withdrew is believed no longer; the UAE's rules allow 20 minutes. */
const ceilingMs = 600_000;

/** Keys by URL or file, asked for once however many requests wait for them. */
export function createDirectoryKeys({ fetch, clock }: Dependencies): DirectoryKeys {
  const known = new Map<string, Known>();
  const pending = new Map<string, Promise<JSONWebKeySet>>();

  async function read({ issuer, keys }: Directory): Promise<JSONWebKeySet> {
    const found =
      'url' in keys
        ? await fetchKeySet(fetch, keys.url)
        : parseKeySet(await readFile(keys.file, 'utf8'), keys.file);
    known.set(issuer, { keys: found, readAt: clock.now().getTime() });
    return found;
  }

  function readOnce(directory: Directory): Promise<JSONWebKeySet> {
    const running = pending.get(directory.issuer);
    if (running !== undefined) return running;
    const started = read(directory).finally(() => pending.delete(directory.issuer));
    pending.set(directory.issuer, started);
    return started;
  }

  return {
    async keysOf(directory, kid) {
      const present = known.get(directory.issuer);
      if (present === undefined) return readOnce(directory);
      const age = clock.now().getTime() - present.readAt;
      if (age > ceilingMs || age < 0) return readOnce(directory);
      const isKnown = kid === undefined || present.keys.keys.some((key) => key.kid === kid);
      return isKnown || age < floorMs ? present.keys : readOnce(directory);
    },
  };
}
