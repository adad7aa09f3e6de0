import { describe, expect, it, vi } from 'vitest';
import { createBounds } from '../../src/signing-keys/signers/bounded.ts';
import { faultOf, signerFailure } from '../../src/signing-keys/signers/signer.ts';

const limits = { concurrency: 2, maxWaiting: 3, timeoutMs: 1000 };

/** Work that ends when it is told. */
function pieces() {
  const ends: (() => void)[] = [];
  let most = 0;
  let running = 0;
  const work = () =>
    new Promise<string>((resolve) => {
      running += 1;
      most = Math.max(most, running);
      ends.push(() => {
        running -= 1;
        resolve('done');
      });
    });
  return { work, ends, most: () => most };
}

describe('Signatures that are asked for at once', () => {
  it('are made so many at a time, in turn, and further ones are refused', async () => {
    const { work, ends, most } = pieces();
    const bounded = createBounds(limits);
    const asked = Array.from({ length: 5 }, () => bounded(work));
    await expect(bounded(work)).rejects.toMatchObject({
      code: 'signer_unavailable',
      detail: 'busy: 3 signatures wait already',
    });
    for (let done = 0; done < 5; done += 1) {
      await vi.waitFor(
        () => {
          expect(ends.length).toBeGreaterThan(done);
        },
        { timeout: 10_000 },
      );
      ends[done]?.();
    }
    expect(await Promise.all(asked)).toEqual(Array.from({ length: 5 }, () => 'done'));
    expect(most()).toBe(2);
    await expect(bounded(() => Promise.resolve('again'))).resolves.toBe('again');
  });

  it('wait for their turn so long and no longer', async () => {
    vi.useFakeTimers();
    const { work, ends } = pieces();
    const bounded = createBounds({ ...limits, concurrency: 1 });
    const first = bounded(work);
    const second = bounded(work).catch(faultOf);
    await vi.advanceTimersByTimeAsync(999);
    ends[0]?.();
    await first;
    const third = bounded(work).catch(faultOf);
    await vi.advanceTimersByTimeAsync(1000);
    expect(await third).toBe('timeout');
    ends[1]?.();
    expect(await second).toBe('done');
    vi.useRealTimers();
  });

  it('give their place back when they fail', async () => {
    const bounded = createBounds({ ...limits, concurrency: 1, maxWaiting: 0 });
    const failure = signerFailure('refused', 'no');
    for (let turn = 0; turn < 3; turn += 1) {
      await expect(bounded(() => Promise.reject(failure))).rejects.toBe(failure);
    }
    expect(faultOf(failure)).toBe('refused');
    expect(faultOf(new Error('anything else'))).toBe('unavailable');
  });
});
