import { setTimeout as wait } from 'node:timers/promises';
import { secondsFromNow } from '../clock.ts';
import { record, recordPromotion, refused, timesOf, waitedFor } from './key-acts.ts';
import type { RotationGround } from './key-acts.ts';
import type { KeyMaterial } from './key-material.ts';
import {
  activationOf,
  isPublished,
  keyOf,
  rejectRetirement,
  signerOf,
  successorOf,
} from './key-ring.ts';
import type { RingKey, SigningAlgorithm } from './key-ring.ts';
import type { LiveProcess } from './process-store.ts';
import type { KnownReader } from './reader-store.ts';
import { createSchedule } from './schedule.ts';
import type { RunDue } from './schedule.ts';
import type { KeptKey, WantedKey } from './signers/signer.ts';

/** A key file's key: taken over once. */
export interface BroughtKey extends KeyMaterial {
  stage: 'announced' | 'active' | 'retired';
  createdAt: Date;
}

/** What can be done with the key ring, by operators and by the schedule. */
export interface Rotation {
  /** Carries out what the schedule says is due, of `keys` as they were read. */
  runDue: RunDue;
  /**
   * Publishes a new key, or one that was brought. Problem('signing_key_act_refused') when one of the algorithm is
   * announced already, or the kid was used before.
   */
  announce(algorithm: SigningAlgorithm, brought?: KeyMaterial | KeptKey): Promise<RingKey>;
  /** Publishes a key that operators made in the HSM. Problem('signing_key_invalid', 'signer_unavailable'). */
  adopt(wanted: WantedKey): Promise<RingKey>;
  /** Lets an announced key sign; see {@link PromoteOptions}. */
  promote(kid: string, options?: PromoteOptions): Promise<RingKey>;
  /** Announces a key unless there is one, and promotes it. */
  rotate(algorithm: SigningAlgorithm, options?: PromoteOptions): Promise<RingKey>;
  retire(kid: string): Promise<RingKey>;
  /**
   * Ends a compromised key everywhere at once. Where it signed, another one does from the same moment on: an announced
   * one, else a new one.
   */
  revoke(kid: string): Promise<{ revoked: RingKey; successor: RingKey | undefined }>;
  /** Takes over keys of algorithms that the ring has none of; a kid that ever was there is left alone. */
  takeOver(brought: readonly BroughtKey[]): Promise<RingKey[]>;
  rewrap(): Promise<string[]>;
  status(): Promise<KeyRingStatus>;
}

/** How far a promotion goes. */
export interface PromoteOptions {
  /** Also when resource servers have not fetched the key; never when a server process does not publish it. */
  force?: boolean;
}

/** The ring and who knows of it. */
export interface KeyRingStatus {
  keys: RingKey[];
  processes: LiveProcess[];
  readers: KnownReader[];
}

/** How long a promotion waits: longer than a process that died without a word counts as alive. */
const promotionMs = 20_000;
/** And a revocation: three times what a process takes that is well. */
const revocationMs = 3000;
const retryMs = 100;

/** The acts on one key ring. */
export function createRotation(deps: RotationGround): Rotation {
  const { store, clock, readers, processes } = deps;
  const find = async (kid: string) => keyOf(await store.list(), kid);
  const announce = announcer(deps);
  const promote = promoter(deps);

  return {
    announce,
    adopt: async (wanted) => announce(wanted.algorithm, await deps.signers.adopt(wanted)),
    runDue: createSchedule(deps),
    takeOver: (brought) => takeOver(brought, deps),

    async promote(kid, options = {}) {
      await promote(kid, options);
      return find(kid);
    },

    async rotate(algorithm, options = {}) {
      const { kid } = successorOf(await store.list(), algorithm) ?? (await announce(algorithm));
      await promote(kid, options);
      return find(kid);
    },

    async retire(kid) {
      rejectRetirement(await store.list(), kid);
      if (await store.retire(kid, timesOf(deps))) await record(deps, 'retired', await find(kid));
      return find(kid);
    },

    async revoke(kid) {
      const successor = await successorFor(await find(kid), { deps, announce });
      const done = await store.revoke(kid, timesOf(deps), successor);
      if (!done) throw refused(`${kid} has been destroyed or revoked already`);
      const revoked = await find(kid);
      await record(deps, 'revoked', revoked);
      if (successor === undefined) return { revoked, successor };
      await record(deps, 'activated', await find(successor));
      return { revoked, successor: await find(successor) };
    },

    async rewrap() {
      const kids = await store.rewrap();
      if (kids.length > 0) await deps.record({ type: 'signing_key.rewrapped', detail: { kids } });
      return kids;
    },

    async status() {
      const now = clock.now();
      return {
        keys: await store.list(),
        processes: await processes.live(),
        readers: await readers.known(now),
      };
    },
  };
}

function announcer(deps: RotationGround) {
  const { store, signers, clock, policy } = deps;
  return async (algorithm: SigningAlgorithm, brought?: KeyMaterial | KeptKey): Promise<RingKey> => {
    const keys = await store.list();
    const waiting = successorOf(keys, algorithm);
    if (waiting !== undefined) {
      throw refused(`${waiting.kid} is announced for ${algorithm} already`);
    }
    if (keys.some(({ kid }) => kid === brought?.kid)) {
      throw refused(`the key ${String(brought?.kid)} is, or was, there already`);
    }
    const now = clock.now();
    const material = brought ?? (await signers.generate(algorithm));
    const key = {
      ...material,
      origin: brought === undefined ? ('operator' as const) : ('import' as const),
      createdAt: now,
      activateAt: activationOf(signerOf(keys, algorithm), policy, now),
    };
    if (!(await store.announce(key))) {
      if (brought === undefined) await signers.discard(material);
      throw refused(`another key for ${algorithm} came first`);
    }
    const announced = keyOf(await store.list(), key.kid);
    await record(deps, 'created', announced);
    return announced;
  };
}

function promoter(deps: RotationGround) {
  const { store, readers, clock } = deps;
  return async (kid: string, { force = false }: PromoteOptions): Promise<void> => {
    const keys = await store.list();
    const key = keyOf(keys, kid);
    if (key.stage === 'active') return;
    if (key.stage !== 'announced') throw refused(`${kid} is ${key.stage}: only an announced key`);
    const signer = signerOf(keys, key.algorithm);
    if (!force && signer !== undefined) {
      rejectUnseen(kid, await readers.known(clock.now()));
    }
    const done = { byUs: false };
    await untilPublished({ kid, patienceMs: promotionMs }, deps, async () => {
      done.byUs = await store.promote(kid, timesOf(deps));
      // The schedule may have come first: it promotes at once where no key of the algorithm signs.
      return done.byUs || keyOf(await store.list(), kid).stage === 'active';
    });
    if (done.byUs) await recordPromotion(deps, { key, signer });
  };
}

function rejectUnseen(kid: string, known: readonly KnownReader[]): void {
  const unseen = waitedFor(kid, known).map(({ name }) => name);
  if (unseen.length === 0) return;
  throw refused(
    `${kid} has not been fetched by ${unseen.join(', ')}: wait for them, or give --force`,
  );
}

/** Tries until every live process publishes the key, or a dead one no longer counts. */
async function untilPublished(
  { kid, patienceMs }: { kid: string; patienceMs: number },
  { processes }: RotationGround,
  attempt: () => Promise<boolean>,
): Promise<void> {
  for (let waitedMs = 0; waitedMs <= patienceMs; waitedMs += retryMs) {
    if (await attempt()) return;
    await wait(retryMs);
  }
  const behind = (await processes.live()).filter(({ published }) => !published.includes(kid));
  const hosts = behind.map(({ host }) => host).join(', ');
  throw refused(`${kid} is not published by every server process yet: ${hosts}`);
}

/** The kid that takes over from a key that is about to be revoked; undefined where that one does not sign. */
async function successorFor(
  key: RingKey,
  { deps, announce }: { deps: RotationGround; announce: Rotation['announce'] },
): Promise<string | undefined> {
  const { store, processes } = deps;
  const keys = await store.list();
  if (key.stage !== 'active') return undefined;
  const { kid } = successorOf(keys, key.algorithm) ?? (await announce(key.algorithm));
  const isPublishedEverywhere = async () =>
    (await processes.live()).every(({ published }) => published.includes(kid));
  // A process that hangs must not keep a stolen key in use.
  await untilPublished({ kid, patienceMs: revocationMs }, deps, isPublishedEverywhere).catch(
    () => undefined,
  );
  return kid;
}

async function takeOver(brought: readonly BroughtKey[], deps: RotationGround): Promise<RingKey[]> {
  const { store, policy } = deps;
  const keys = await store.list();
  const taken: string[] = [];
  const absent = brought.filter(
    ({ kid, algorithm }) =>
      !keys.some((key) => key.kid === kid || (key.algorithm === algorithm && isPublished(key))),
  );
  const rank = { active: 0, announced: 1, retired: 2 };
  for (const key of absent.toSorted((a, b) => rank[a.stage] - rank[b.stage])) {
    const row = { ...key, origin: 'file' as const };
    const isAdded =
      key.stage === 'retired'
        ? await store.addRetired(row, secondsFromNow(deps.clock, policy.keepSeconds))
        : await store.announce(row);
    if (!isAdded) continue;
    // While another process does not publish it, it stays announced, and the schedule promotes it.
    if (key.stage === 'active') await store.promote(key.kid, timesOf(deps));
    taken.push(key.kid);
  }
  const ring = await store.list();
  const taking = taken.map((kid) => keyOf(ring, kid));
  for (const key of taking) await record(deps, 'created', key);
  return taking;
}
