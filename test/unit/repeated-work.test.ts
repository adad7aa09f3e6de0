import { describe, expect, it } from 'vitest';
import { createRepeatedWork } from '../../src/observability/repeated-work.ts';

/** Runs that are counted, and fail as asked; `reached(n)` is there when the nth has begun. */
function counted(fails: (run: number) => boolean = () => false) {
  let runs = 0;
  const waiting = new Map<number, () => void>();
  return {
    run: () => {
      runs += 1;
      waiting.get(runs)?.();
      return fails(runs) ? Promise.reject(new Error(`run ${String(runs)}`)) : Promise.resolve();
    },
    runs: () => runs,
    reached: (run: number) =>
      new Promise<void>((resolve) => {
        waiting.set(run, resolve);
      }),
  };
}

const hour = 3_600_000;
const unexpected = (error: unknown) => {
  throw error;
};

describe('Repeated work', () => {
  it('goes on after a failure, which is told', async () => {
    const failures: unknown[] = [];
    const { run, reached } = counted((number) => number === 1);
    const onFailure = (error: unknown) => failures.push(error);
    const work = createRepeatedWork({ run, onFailure, intervalMs: 1, first: 'now' });
    const third = reached(3);
    work.start();
    await third;
    await work.stop();
    expect(failures).toEqual([new Error('run 1')]);
  });

  it('is done at once where it should be, and once only when it is started twice', async () => {
    const { run, runs } = counted();
    const options = { run, onFailure: unexpected, intervalMs: hour };
    const work = createRepeatedWork({ ...options, first: 'now' });
    work.start();
    work.start();
    expect(runs()).toBe(1);
    await work.stop();
    expect(runs()).toBe(1);
  });

  it('waits first where it should, and is not done at all when it is stopped meanwhile', async () => {
    const { run, runs } = counted();
    const options = { run, onFailure: unexpected, intervalMs: hour };
    const work = createRepeatedWork({ ...options, first: 'later' });
    work.start();
    await work.stop();
    expect(runs()).toBe(0);
  });

  it('waits for the run that is under way, which is told to end', async () => {
    let hasEnded = false;
    const run = (signal: AbortSignal) =>
      new Promise<void>((resolve) => {
        signal.addEventListener('abort', () => {
          setImmediate(() => {
            hasEnded = true;
            resolve();
          });
        });
      });
    const options = { run, onFailure: unexpected, intervalMs: hour };
    const work = createRepeatedWork({ ...options, first: 'now' });
    work.start();
    await work.stop();
    expect(hasEnded).toBe(true);
  });
});
