import { setTimeout as wait } from 'node:timers/promises';

/** Work that is done again and again in the background. */
export interface RepeatedWork {
  start(): void;
  /** Ends it: the run that is under way is waited for. */
  stop(): Promise<void>;
}

interface Options {
  /** Should stop early when `signal` says so. */
  run: (signal: AbortSignal) => Promise<unknown>;
  /** Told of a run that failed; the next one comes all the same. Must not throw. */
  onFailure: (error: unknown) => void;
  /** Time from the end of one run to the next. */
  intervalMs: number;
  /** When the first run is: at the start, or an interval later. */
  first: 'now' | 'later';
}

/** Runs until it is stopped, one run after another. Its timer does not keep the process alive. */
export function createRepeatedWork({ run, onFailure, intervalMs, first }: Options): RepeatedWork {
  const stopping = new AbortController();
  const { signal } = stopping;
  let loop: Promise<void> | undefined;

  const pause = () => wait(intervalMs, undefined, { ref: false, signal }).catch(() => undefined);

  async function runUntilStopped(): Promise<void> {
    if (first === 'later') await pause();
    while (!signal.aborted) {
      try {
        await run(signal);
      } catch (error) {
        onFailure(error);
      }
      await pause();
    }
  }

  return {
    start() {
      loop ??= runUntilStopped();
    },
    async stop() {
      stopping.abort();
      await loop;
    },
  };
}
