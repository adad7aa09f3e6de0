import { runWithoutRequest } from '../observability/request-context.ts';
import { keyedDigest } from '../security/secrets.ts';
import { add, held, moveOn } from './count.ts';
import type { Entry } from './entry.ts';
import type { Charge, Charged, LimitStore } from './limit-store.ts';
import { createTellingQueue } from './telling-queue.ts';
import type { Telling } from './telling-queue.ts';

/** Counting together with other processes. */
export interface SharedOptions {
  store: LimitStore;
  /** Addresses and identifiers go to the store as digests. */
  digestKey: Buffer;
  /** How long what was counted may wait for company before the store is told. */
  tellMs: number;
  /** How long the store may take; then it counts as away. */
  patienceMs: number;
  /** How long a store that is away is left alone. */
  retryMs: number;
  /** Told when the store goes away, and when it is back. */
  onStore: (isUp: boolean, error: unknown) => void;
}

/** One process's talk with the store. */
export interface Tellings {
  /** Tells the store of a count, and learns what it is for all processes, with the next batch. */
  mark(entry: Entry): void;
  /** At once; whether a request is granted, or undefined where the store can't be had. */
  ask(entry: Entry): Promise<boolean | undefined>;
  /** Whether the store failed a moment ago, and is left alone. */
  isAway(): boolean;
  /** Tells what is left. */
  close(): Promise<void>;
}

/** Talks with the store about many counts at once, one conversation at a time. */
export function createTellings(options: SharedOptions, now: () => number): Tellings {
  const { store, tellMs, retryMs, patienceMs, onStore } = options;
  const queue = createTellingQueue();
  let awayUntil: number | undefined;
  let talking: Promise<void> | undefined;
  const lateMs = tellMs + patienceMs;
  const alarm = createAlarm(() => void runWithoutRequest(talk));

  function talkSoon(): void {
    alarm.set(awayUntil === undefined ? tellMs : retryMs);
  }

  function talk(): Promise<void> {
    talking ??= talkOnce().finally(() => {
      talking = undefined;
      if (awayUntil === undefined && queue.isPressing()) void runWithoutRequest(talk);
      else if (!queue.isEmpty()) talkSoon();
    });
    return talking;
  }

  async function talkOnce(): Promise<void> {
    await Promise.resolve(); // whoever asks in this turn is in the same batch
    const batch = queue.take();
    if (batch.length === 0) return;
    const nowMs = now();
    for (const { entry } of batch) if (nowMs - entry.untoldSince > lateMs) forgetPast(entry, nowMs);
    const charges = batch.map((telling) => chargeOf(telling, options.digestKey));
    try {
      const answers = await inTime(store.charge(charges, nowMs), patienceMs);
      if (awayUntil !== undefined) onStore(true, undefined);
      awayUntil = undefined;
      for (const [i, telling] of batch.entries()) learn(telling, answers[i], now());
    } catch (error) {
      if (awayUntil === undefined) onStore(false, error);
      awayUntil = performance.now() + retryMs;
      for (const telling of batch) {
        keep(telling);
        queue.mark(telling.entry);
      }
    }
  }

  return {
    mark(entry) {
      queue.mark(entry);
      talkSoon();
    },
    ask: (entry) =>
      new Promise((settle) => {
        queue.ask(entry, settle);
        void runWithoutRequest(talk);
      }),
    isAway: () => awayUntil !== undefined && performance.now() < awayUntil,
    async close() {
      await talking;
      while (awayUntil === undefined && !queue.isEmpty()) await talk();
      alarm.off();
      await store.close();
    },
  };
}

/** Rings once; set while it is set, it stays as it was. It does not keep the process alive. */
function createAlarm(ring: () => void): { set(milliseconds: number): void; off(): void } {
  let timer: NodeJS.Timeout | undefined;
  return {
    set(milliseconds) {
      timer ??= setTimeout(() => {
        timer = undefined;
        ring();
      }, milliseconds).unref();
    },
    off() {
      clearTimeout(timer);
    },
  };
}

/**
 * What could not be told in time is told as far as it still counts: what drained meanwhile, or is of windows that are
 * over, would come back in one piece otherwise. In time it is told whole, because all processes drain one bucket.
 */
function forgetPast(entry: Entry, nowMs: number): void {
  moveOn(entry.meter, entry.count, nowMs);
  entry.untold = Math.min(entry.untold, Math.ceil(held(entry.count)));
}

function chargeOf({ entry, settles }: Telling, digestKey: Buffer): Charge {
  entry.key ??= keyedDigest(digestKey, 'rate-limit', entry.name);
  entry.telling = entry.untold;
  entry.untold = 0;
  return { key: entry.key, meter: entry.meter, used: entry.telling, want: settles.length };
}

/** What was counted here meanwhile comes on top of what the store says. */
function learn({ entry, settles }: Telling, charged: Charged | undefined, nowMs: number): void {
  if (charged === undefined) throw new Error('the store left a charge out');
  entry.telling = 0;
  entry.count = charged.count;
  moveOn(entry.meter, entry.count, nowMs);
  add(entry.count, entry.untold);
  for (const [i, settle] of settles.entries()) settle(i < charged.granted);
}

/** The store may have counted it or not: counted twice is the safe side. */
function keep({ entry, settles }: Telling): void {
  entry.untold += entry.telling;
  entry.untoldSince = 0;
  entry.telling = 0;
  for (const settle of settles) settle(undefined);
}

async function inTime<T>(work: Promise<T>, milliseconds: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      // An answer that came while this process was busy is read first.
      setImmediate(reject, new Error(`the store took longer than ${String(milliseconds)} ms`));
    }, milliseconds);
  });
  work.catch(() => undefined); // where it is too late to matter
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
