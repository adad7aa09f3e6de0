import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { Charge, LimitStore } from '../../src/rate-limits/limit-store.ts';
import { createLimiter } from '../../src/rate-limits/limiter.ts';
import type { Rule } from '../../src/rate-limits/rule.ts';

const at = Date.parse('2026-01-01T00:00:00.000Z');
const rule: Rule = { name: 'r', algorithm: 'fixed-window', limit: 5, windowSeconds: 60 };

/** A store that can be away, slow, or wrong, and what it was told. */
function fickleStore() {
  const told: Charge[] = [];
  let answer: () => Promise<void> = () => Promise.reject(new Error('away'));
  const totals = new Map<string, number>();
  const store: LimitStore = {
    async charge(charges) {
      told.push(...charges);
      await answer();
      return charges.map(({ key, meter, used, want }) => {
        const before = totals.get(key.toString('hex')) ?? 0;
        const granted = Math.min(want, Math.max(0, meter.ceiling - before - used));
        totals.set(key.toString('hex'), before + used + granted);
        const count = { at: Math.floor(at / meter.sliceMs), units: [before + used + granted] };
        return { count, granted };
      });
    },
    close: () => Promise.resolve(),
  };
  return {
    store,
    told,
    goAway() {
      answer = () => Promise.reject(new Error('away'));
    },
    comeBack() {
      answer = () => Promise.resolve();
    },
    fallSilent() {
      answer = () => new Promise(() => undefined);
    },
  };
}

function limiterOn(store: LimitStore, retryMs = 60_000) {
  const states: boolean[] = [];
  const time = { ms: at };
  const limiter = createLimiter({
    clock: { now: () => new Date(time.ms) },
    maxSubjects: 1000,
    shared: {
      ...{ store, digestKey: Buffer.alloc(32), tellMs: 60_000, patienceMs: 20, retryMs },
      onStore: (isUp) => states.push(isUp),
    },
  });
  return { limiter, states, time };
}

async function admitted(count: number, limiter: ReturnType<typeof limiterOn>['limiter'], by: Rule) {
  let allowed = 0;
  for (let i = 0; i < count; i += 1) if ((await limiter.admit(by, 's')).allowed) allowed += 1;
  return allowed;
}

describe('Without the store', () => {
  it('a rule that counts alone still has its limit', async () => {
    const { limiter, states } = limiterOn(fickleStore().store);
    expect(await admitted(12, limiter, { ...rule, slack: 0, whenStoreIsDown: 'local' })).toBe(5);
    expect(states).toEqual([false]);
  });

  it('a rule that closes admits nobody, and says why', async () => {
    const { limiter } = limiterOn(fickleStore().store);
    const closed: Rule = { ...rule, whenStoreIsDown: 'closed' };
    expect(await limiter.admit(closed, 's')).toMatchObject({ allowed: false, unavailable: true });
    expect(await limiter.admit(closed, 's')).toMatchObject({ allowed: false, unavailable: true });
  });

  it('a rule that closes admits nobody for what was given back before', async () => {
    const fickle = fickleStore();
    fickle.comeBack();
    const { limiter } = limiterOn(fickle.store);
    const closed: Rule = { ...rule, whenStoreIsDown: 'closed' };
    expect(await limiter.admit(closed, 's')).toMatchObject({ allowed: true });
    limiter.giveBack(closed, 's');
    fickle.goAway();
    expect(await limiter.admit(closed, 's')).toMatchObject({ allowed: false, unavailable: true });
  });

  it('that says nothing, nobody waits for long', async () => {
    const fickle = fickleStore();
    fickle.fallSilent();
    const { limiter } = limiterOn(fickle.store);
    expect(await admitted(12, limiter, { ...rule, slack: 0 })).toBe(5);
    expect(fickle.told).toHaveLength(1); // once, and then it was left alone
  });

  it('what was counted meanwhile is told when it is back', async () => {
    const fickle = fickleStore();
    const { limiter, states } = limiterOn(fickle.store, 0);
    const local: Rule = { ...rule, slack: 0 };
    expect(await admitted(2, limiter, local)).toBe(2);
    fickle.comeBack();
    expect(await admitted(12, limiter, local)).toBe(3);
    await limiter.close();
    const known = fickle.told.reduce((sum, { used }) => sum + used, 0);
    expect(known).toBeGreaterThanOrEqual(2);
    expect(states.at(-1)).toBe(true);
  });

  it.each([
    { algorithm: 'token-bucket', burst: 30 },
    { algorithm: 'sliding-window', burst: undefined },
    { algorithm: 'fixed-window', burst: undefined },
  ] as const)(
    'for long, a client of $algorithm that kept to its limit is not refused afterwards',
    async ({ algorithm, burst }) => {
      const fickle = fickleStore();
      const { limiter, time } = limiterOn(fickle.store, 0);
      const often: Rule = { name: 'r', algorithm, burst, limit: 60, windowSeconds: 60, slack: 0 };
      for (let second = 0; second < 600; second += 2) {
        expect(await limiter.admit(often, 's')).toMatchObject({ allowed: true });
        time.ms += 2000;
      }
      fickle.comeBack();
      expect(await limiter.admit(often, 's')).toMatchObject({ allowed: true });
      const told = fickle.told.at(-1)?.used ?? Number.NaN;
      expect(told).toBeLessThanOrEqual(algorithm === 'token-bucket' ? 1 : 33);
    },
  );
});

describe('A store', () => {
  it('is told of many requests together, and not asked for each', async () => {
    const fickle = fickleStore();
    fickle.comeBack();
    const { limiter } = limiterOn(fickle.store);
    const lax: Rule = { ...rule, limit: 1000, slack: 100 };
    for (let i = 0; i < 90; i += 1) expect(limiter.admit(lax, 's')).not.toBeInstanceOf(Promise);
    expect(fickle.told).toEqual([]);
    await limiter.close();
    expect(fickle.told.map(({ used }) => used)).toEqual([90]);
  });

  it('is asked once for all that come in one turn', async () => {
    const fickle = fickleStore();
    fickle.comeBack();
    const { limiter } = limiterOn(fickle.store);
    const asked = Array.from({ length: 8 }, async () => limiter.admit({ ...rule, slack: 0 }, 's'));
    await turn();
    expect((await Promise.all(asked)).filter(({ allowed }) => allowed)).toHaveLength(5);
    expect(fickle.told.map(({ want }) => want)).toEqual([8]);
  });

  it('hears nothing of what was counted and given back', async () => {
    const fickle = fickleStore();
    fickle.comeBack();
    const { limiter } = limiterOn(fickle.store);
    const lax: Rule = { ...rule, limit: 1000, slack: 100 };
    for (let i = 0; i < 50; i += 1) {
      await limiter.admit(lax, 's');
      limiter.giveBack(lax, 's');
    }
    await limiter.close();
    expect(fickle.told).toEqual([]);
  });

  it('is told of what waited long as far as it still counts', async () => {
    const fickle = fickleStore();
    fickle.comeBack();
    const { limiter, time } = limiterOn(fickle.store);
    const lax: Rule = { ...rule, limit: 100, slack: 100 };
    for (let i = 0; i < 40; i += 1) await limiter.admit(lax, 's');
    time.ms += 120_000; // so many others were before
    for (let i = 0; i < 3; i += 1) await limiter.admit(lax, 's');
    await limiter.close();
    expect(fickle.told.map(({ used }) => used)).toEqual([3]);
  });
});
