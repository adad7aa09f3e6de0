import { hostname } from 'node:os';
import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import type { Logger } from '../observability/logger.ts';
import { Problem } from '../problem.ts';
import { createKeyProofs } from './key-proofs.ts';
import type { KeyRingStore, OpenedKey } from './key-ring-store.ts';
import { isDoneWithin } from './patience.ts';
import type { ProcessStore } from './process-store.ts';
import {
  kidsOf,
  publishedKeys,
  readRing,
  signableKids,
  versionOf,
  withKnownKeys,
} from './ring-reading.ts';
import type { PublishedKey } from './ring-reading.ts';
import type { Rotation } from './rotation.ts';
import type { OpenSigner, Signers } from './signers/signers.ts';

/** The key ring as one process publishes it. */
export interface PublishedRing {
  /**
   * Reads the ring, in the order in which its keys sign. From now on no key begins to sign that this process does not
   * publish. Problem('signing_key_invalid') when nothing can sign.
   */
  join(): Promise<readonly PublishedKey[]>;
  /** Kids that are published now. */
  kids(): readonly string[];
  /** Follows every change, and carries out the schedule, until it is stopped. `onSwap` publishes other keys. */
  start(onSwap: (keys: readonly PublishedKey[]) => void): void;
  stop(): Promise<void>;
}

interface Dependencies {
  store: Pick<KeyRingStore, 'open'>;
  processes: ProcessStore;
  rotation: Pick<Rotation, 'runDue'>;
  signers: Pick<Signers, 'lackFor' | 'open' | 'prove'>;
  /** Told the ring after each look at it. */
  onLook?: (keys: readonly OpenedKey[]) => void;
  /** Changes that other processes make to the ring. */
  changes: {
    subscribe(topic: 'signing-keys', onChange: () => void): void;
    /** Whether they are heard at the moment. */
    isLive(): boolean;
  };
  logger: Logger;
}

/**
 * Between two looks at the database: half of the second within which every process follows, for where changes are not
 * heard. While they are, a look comes with each change, and as a sign of life three times within the 15 s for which a
 * process counts as alive.
 */
const lookMs = 500;
const reportMs = 5000;

/** How long a look waits for the schedule: a signer that hangs must not keep this process from following the others. */
const dutyMs = 100;

/** One process's share of the key ring. */
export function createPublishedRing(deps: Dependencies): PublishedRing {
  const { processes, rotation, changes, logger } = deps;
  const follower = createFollower(deps);
  const closing = new AbortController();
  let wake = new AbortController();
  let loop: Promise<void> | undefined;
  let duty: Promise<void> = Promise.resolve();
  let isTold = false;

  changes.subscribe('signing-keys', () => {
    follower.hear();
    wake.abort();
  });

  /** Once, however long it lasts: the keys that are published stay as they are. */
  function tell(error: unknown): void {
    follower.hear();
    if (!isTold) logger.error('The key ring could not be followed; trying again', { error });
    isTold = true;
  }

  async function step(onSwap: OnSwap): Promise<void> {
    try {
      await follower.follow(onSwap);
      deps.onLook?.(follower.ring());
      duty = rotation.runDue(follower.ring(), tell);
      duty.catch(tell); // also when it fails after this look
      if (!(await isDoneWithin(duty, dutyMs))) return;
      if (isTold) logger.info('The key ring is followed again');
      isTold = false;
    } catch (error) {
      tell(error);
    }
  }

  async function run(onSwap: OnSwap): Promise<void> {
    while (!closing.signal.aborted) {
      wake = new AbortController();
      await step(onSwap);
      const signal = AbortSignal.any([closing.signal, wake.signal]);
      await wait(lookMs, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  return {
    join: () => follower.join(),
    kids: () => kidsOf(follower.ring()),
    start(onSwap) {
      loop ??= run(onSwap);
    },
    async stop() {
      closing.abort();
      await loop;
      await duty.catch(() => undefined);
      // A database that is away forgets the process by itself.
      await processes.leave(follower.id).catch(() => undefined);
    },
  };
}

type OnSwap = (keys: readonly PublishedKey[]) => void;

/**
 * Publishes with one signer for a key for as long as it is in the ring: each remembers whether what signs is away, and a swap
 * for another key's sake must not make it try a code on that.
 */
function createPublishing(signers: Pick<Signers, 'open'>) {
  let opened = new Map<string, OpenSigner>();
  return function publish(keys: readonly OpenedKey[]): readonly PublishedKey[] {
    const kept = new Map<string, OpenSigner>();
    const published = publishedKeys(keys, {
      open(key) {
        const signer = opened.get(key.kid) ?? signers.open(key);
        kept.set(key.kid, signer);
        return signer;
      },
    });
    opened = kept;
    return published;
  };
}

function createFollower({ store, processes, changes, logger, signers }: Dependencies) {
  const self = { id: randomUUID(), host: hostname() };
  let ring: readonly OpenedKey[] = [];
  let isChanged = true;
  let reportedAt = -Infinity;
  let reported = '';
  const told = new Set<string>();
  const proofs = createKeyProofs({ signers, logger });
  const publish = createPublishing(signers);

  async function report(published: readonly string[]): Promise<void> {
    await processes.report({ ...self, published });
    reported = published.join();
    reportedAt = performance.now();
  }

  /** Once a key, because it is read every few seconds. */
  function tellFaults(keys: readonly OpenedKey[]): void {
    for (const { kid, fault } of keys) {
      if (fault === undefined || told.has(kid)) continue;
      told.add(kid);
      logger.error('A signing key can not be used', { kid, reason: fault });
    }
  }

  return {
    id: self.id,
    ring: () => ring,
    /** Something may be different. */
    hear() {
      isChanged = true;
    },

    async join(): Promise<readonly PublishedKey[]> {
      await report([]); // before the ring is read: whoever promotes a key meanwhile waits for this process
      ring = await readRing(store, signers);
      const faults = ring.flatMap(({ fault }) => fault ?? []);
      if (faults.length > 0) {
        throw new Problem('signing_key_invalid', { detail: faults.join('; ') });
      }
      reportedAt = -Infinity; // what is published now is reported by the first step
      return publish(ring);
    },

    /** What is published is reported after it is. */
    async follow(onSwap: OnSwap): Promise<void> {
      const isDue = performance.now() - reportedAt >= reportMs;
      if (!isChanged && !isDue && changes.isLive() && !proofs.areLacking(ring)) return;
      isChanged = false;
      const read = withKnownKeys(await readRing(store, signers), ring);
      tellFaults(read);
      const isOther = versionOf(read) !== versionOf(ring);
      if (isOther) onSwap(publish(read));
      ring = read;
      const signable = signableKids(ring, await proofs.of(ring));
      if (isOther || isDue || signable.join() !== reported) await report(signable);
    },
  };
}
