import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createLimiter } from '../../src/rate-limits/limiter.ts';
import type { Rule } from '../../src/rate-limits/rule.ts';
import type { Verdict } from '../../src/rate-limits/entry.ts';

const begin = Date.parse('2026-01-01T00:00:00.000Z');

/** A limiter of one process, and its clock in milliseconds since the beginning. */
function alone(rule: Rule) {
  let at = 0;
  const clock = { now: () => new Date(begin + at) };
  const limiter = createLimiter({ clock, maxSubjects: 100 });
  return {
    clock: (milliseconds: number) => {
      at = milliseconds;
    },
    ask: (subject = 'somebody') => limiter.admit(rule, subject) as Verdict,
    giveBack: (subject = 'somebody') => {
      limiter.giveBack(rule, subject);
    },
  };
}

/** When of these moments requests were admitted. */
function admittedAt(rule: Rule, moments: readonly number[]): number[] {
  const { clock, ask } = alone(rule);
  return moments.filter((moment) => {
    clock(moment);
    return ask().allowed;
  });
}

/** The most that lie in any window of this length, its end left out. */
function mostIn(windowMs: number, moments: readonly number[]): number {
  return Math.max(
    0,
    ...moments.map((from) => moments.filter((at) => at >= from && at < from + windowMs).length),
  );
}

const limits = fc.record({
  limit: fc.integer({ min: 1, max: 12 }),
  windowSeconds: fc.integer({ min: 1, max: 20 }),
});
/** Bursts and pauses over some windows. */
const gaps = fc.array(
  fc.oneof(fc.constant(0), fc.integer({ max: 50, min: 0 }), fc.integer({ min: 0, max: 9000 })),
  {
    maxLength: 120,
  },
);

function momentsOf(waits: readonly number[]): number[] {
  let at = 0;
  return waits.map((wait) => (at += wait));
}

describe('A fixed window', () => {
  it('never admits more than the limit from one of its starts to the next', () => {
    fc.assert(
      fc.property(limits, gaps, ({ limit, windowSeconds }, waits) => {
        const rule: Rule = { name: 'r', algorithm: 'fixed-window', limit, windowSeconds };
        const admitted = admittedAt(rule, momentsOf(waits));
        const windows = Map.groupBy(admitted, (at) =>
          Math.floor((begin + at) / (windowSeconds * 1000)),
        );
        for (const inOne of windows.values()) expect(inOne.length).toBeLessThanOrEqual(limit);
        expect(mostIn(windowSeconds * 1000, admitted)).toBeLessThanOrEqual(2 * limit);
      }),
    );
  });
});

describe('A sliding window', () => {
  it('never admits more than the limit in any window, wherever it begins', () => {
    fc.assert(
      fc.property(limits, gaps, ({ limit, windowSeconds }, waits) => {
        const rule: Rule = { name: 'r', algorithm: 'sliding-window', limit, windowSeconds };
        const admitted = admittedAt(rule, momentsOf(waits));
        expect(mostIn(windowSeconds * 1000, admitted)).toBeLessThanOrEqual(limit);
      }),
    );
  });

  it('admits again after a window and a tenth at the latest', () => {
    fc.assert(
      fc.property(limits, gaps, ({ limit, windowSeconds }, waits) => {
        const { clock, ask } = alone({
          name: 'r',
          algorithm: 'sliding-window',
          limit,
          windowSeconds,
        });
        const moments = momentsOf(waits);
        for (const moment of moments) {
          clock(moment);
          ask();
        }
        clock((moments.at(-1) ?? 0) + windowSeconds * 1100);
        for (let i = 0; i < limit; i += 1) expect(ask().allowed).toBe(true);
      }),
    );
  });
});

describe('A token bucket', () => {
  it('never admits more than its burst and what came back meanwhile', () => {
    fc.assert(
      fc.property(
        limits,
        fc.integer({ min: 1, max: 15 }),
        gaps,
        ({ limit, windowSeconds }, burst, waits) => {
          const rule: Rule = { name: 'r', algorithm: 'token-bucket', limit, windowSeconds, burst };
          const admitted = admittedAt(rule, momentsOf(waits));
          for (const [i, from] of admitted.entries()) {
            for (const [j, to] of admitted.slice(i).entries()) {
              const back = ((to - from) * limit) / (windowSeconds * 1000);
              expect(j + 1).toBeLessThanOrEqual(burst + back + 1e-6);
            }
          }
        },
      ),
    );
  });
});

const algorithms = ['fixed-window', 'sliding-window', 'token-bucket'] as const;

describe.each(algorithms)('Every algorithm: %s', (algorithm) => {
  const rule: Rule = { name: 'r', algorithm, limit: 3, windowSeconds: 10 };

  it('says how many are left, and when there will be more, which is true', () => {
    fc.assert(
      fc.property(limits, gaps, (limit, waits) => {
        const { clock, ask } = alone({ ...rule, ...limit });
        let left: number | undefined;
        for (const moment of momentsOf(waits)) {
          clock(moment);
          const said = ask();
          if (said.allowed) continue;
          expect(said.remaining).toBe(0);
          clock(moment + said.resetSeconds * 1000);
          const then = ask();
          expect(then.allowed).toBe(true);
          left = then.remaining;
          break;
        }
        expect(left ?? 0).toBeGreaterThanOrEqual(0);
      }),
    );
  });

  it('counts everybody for themselves, and not what it refuses', () => {
    const { clock, ask } = alone(rule);
    const said = Array.from({ length: 50 }, () => ask('one').allowed);
    expect(said.filter(Boolean)).toHaveLength(3);
    expect(ask('another')).toMatchObject({ allowed: true, remaining: 2 });
    clock(22_000);
    expect(Array.from({ length: 4 }, () => ask('one').allowed)).toEqual([true, true, true, false]);
  });

  it('takes back what did not count', () => {
    const { ask, giveBack } = alone(rule);
    for (let i = 0; i < 20; i += 1) {
      expect(ask().allowed).toBe(true);
      giveBack();
    }
    expect(ask()).toMatchObject({ allowed: true, remaining: 2 });
  });

  it('is not turned back by a clock that is', () => {
    const { clock, ask } = alone(rule);
    clock(25_000);
    for (let i = 0; i < 3; i += 1) ask();
    clock(0);
    expect(ask().allowed).toBe(false);
  });
});

it('Subjects beyond the bound are forgotten, the oldest first, so memory has an end', () => {
  const rule: Rule = { name: 'r', algorithm: 'fixed-window', limit: 1, windowSeconds: 10 };
  const { ask } = alone(rule);
  expect(ask('first').allowed).toBe(true);
  for (let i = 0; i < 100; i += 1) ask(String(i));
  expect(ask('99').allowed).toBe(false);
  expect(ask('first').allowed).toBe(true);
});
