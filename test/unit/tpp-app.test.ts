import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { remindOnce } from '../../examples/tpp-app/callback.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('The sample application that waits for its customer', () => {
  it('says so once, after a minute, and goes on', async () => {
    const { promise, resolve } = Promise.withResolvers<string>();
    const remind = vi.fn();
    const waiting = remindOnce(promise, remind);
    vi.advanceTimersByTime(59_999);
    expect(remind).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(remind).toHaveBeenCalledOnce();
    vi.advanceTimersByTime(600_000);
    expect(remind).toHaveBeenCalledOnce();
    resolve('back');
    expect(await waiting).toBe('back');
  });

  it('says nothing to who comes back in time, and ends', async () => {
    const remind = vi.fn();
    expect(await remindOnce(Promise.resolve('back'), remind)).toBe('back');
    expect(vi.getTimerCount()).toBe(0);
  });
});
