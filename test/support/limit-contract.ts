import { randomBytes, randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLimiter } from '../../src/rate-limits/limiter.ts';
import type { Limiter } from '../../src/rate-limits/limiter.ts';
import type { LimitStore } from '../../src/rate-limits/limit-store.ts';
import { meterOf } from '../../src/rate-limits/rule.ts';
import type { Rule } from '../../src/rate-limits/rule.ts';

/** Where limits are counted, as a test begins and ends it. */
export interface LimitGround {
  /** How many processes count together. */
  processes: 1 | 2;
  /** A store of another process with the same counts; none for memory. */
  openStore(): LimitStore | undefined;
  close(): Promise<void>;
}

/** Where, and for whom. */
interface Asked {
  at: (turn: number) => Limiter;
  subject: string;
}

const begin = Date.parse('2026-01-01T00:00:00.000Z');
const algorithms = ['fixed-window', 'sliding-window', 'token-bucket'] as const;

/** What every store must do, by limiters that use it as the product does. */
export function describeLimitStore(name: string, openGround: () => Promise<LimitGround>): void {
  describe(`Rate limits in ${name}`, () => {
    let ground: LimitGround;
    let at = 0;
    const limiters: Limiter[] = [];

    function newLimiter(): Limiter {
      const store = ground.openStore();
      const limiter = createLimiter({
        clock: { now: () => new Date(begin + at) },
        maxSubjects: 1000,
        shared: store && {
          ...{ store, digestKey: Buffer.alloc(32, 7), tellMs: 5, patienceMs: 5000, retryMs: 1000 },
          onStore: () => undefined,
        },
      });
      limiters.push(limiter);
      return limiter;
    }

    /** As many as the ground has, in turn. */
    function newProcesses(): (turn: number) => Limiter {
      const processes = Array.from({ length: ground.processes }, newLimiter);
      return (turn) => processes[turn % processes.length] ?? newLimiter();
    }

    /** How many of so many requests at once, in turn at each process, are admitted. */
    async function admitted(count: number, rule: Rule, { at: ask, subject }: Asked) {
      const said = Array.from({ length: count }, async (_, turn) => ask(turn).admit(rule, subject));
      return (await Promise.all(said)).filter(({ allowed }) => allowed).length;
    }

    beforeAll(async () => {
      ground = await openGround();
    });

    afterAll(async () => {
      await Promise.all(limiters.map((limiter) => limiter.close()));
      await ground.close();
    });

    it.each(algorithms)(
      '%s: of 60 at once exactly the limit is admitted without slack',
      async (algorithm) => {
        const rule: Rule = { name: 'exact', algorithm, limit: 20, windowSeconds: 60, slack: 0 };
        const process = newProcesses();
        const subject = randomUUID();
        expect(await admitted(60, rule, { at: process, subject })).toBe(20);
        expect(await admitted(10, rule, { at: process, subject })).toBe(0);
        expect(await admitted(1, rule, { at: process, subject: randomUUID() })).toBe(1);
      },
    );

    it.each(algorithms)(
      '%s: with slack never more than the limit and the slack of each',
      async (algorithm) => {
        const rule: Rule = { name: 'slack', algorithm, limit: 20, windowSeconds: 60, slack: 4 };
        const subject = randomUUID();
        const process = newProcesses();
        let all = 0;
        for (let round = 0; round < 12; round += 1)
          all += await admitted(5, rule, { at: process, subject });
        expect(all).toBeGreaterThanOrEqual(20);
        expect(all).toBeLessThanOrEqual(20 + (ground.processes - 1) * 4);
      },
    );

    it('what one process counted counts in the next one, once it was told', async () => {
      if (ground.processes === 1) return;
      const rule: Rule = {
        name: 'told',
        algorithm: 'sliding-window',
        limit: 10,
        windowSeconds: 60,
        slack: 5,
      };
      const subject = randomUUID();
      const first = newLimiter();
      expect(await admitted(8, rule, { at: () => first, subject })).toBe(8);
      await first.close();
      const second = newLimiter();
      // What it may admit before it asks, and then no more than is left.
      expect(await admitted(10, rule, { at: () => second, subject })).toBe(5);
    });

    it.each(algorithms)('%s: time gives back, and so does giving back', async (algorithm) => {
      const rule: Rule = { name: 'time', algorithm, limit: 5, windowSeconds: 60, slack: 0 };
      const subject = randomUUID();
      const process = newProcesses();
      expect(await admitted(9, rule, { at: process, subject })).toBe(5);
      const verdict = await process(0).admit(rule, subject);
      expect(verdict).toMatchObject({ allowed: false, remaining: 0, unavailable: false });
      at += verdict.resetSeconds * 1000;
      expect(await admitted(1, rule, { at: () => process(0), subject })).toBe(1);
      process(0).giveBack(rule, subject);
      expect(await admitted(1, rule, { at: () => process(0), subject })).toBe(1);
    });

    it.each(algorithms)('%s: what is given back to nothing is no credit', async (algorithm) => {
      const store = ground.openStore();
      if (store === undefined) return;
      const meter = meterOf({ name: 'credit', algorithm, limit: 5, windowSeconds: 60 });
      const charge = async (key: Buffer, used: number, want: number) => {
        const [charged] = await store.charge([{ key, meter, used, want }], begin);
        return [charged?.granted, charged?.count.units[0]];
      };
      const [gone, asked] = [randomBytes(32), randomBytes(32)];
      expect(await charge(gone, -3, 0)).toEqual([0, 0]);
      expect(await charge(asked, -3, 9)).toEqual([5, 5]);
      expect(await charge(asked, -7, 9)).toEqual([5, 5]);
      expect(await charge(asked, -2, 0)).toEqual([0, 3]);
      expect(await charge(asked, 1, 9)).toEqual([1, 5]);
      await store.close();
    });

    it('keeps the same count as the algorithm says, whatever happens', async () => {
      const step = fc.record({
        wait: fc.integer({ min: 0, max: 9000 }),
        requests: fc.integer({ min: 1, max: 6 }),
      });
      const rules = fc.record({
        algorithm: fc.constantFrom(...algorithms),
        limit: fc.integer({ min: 1, max: 8 }),
        windowSeconds: fc.integer({ min: 1, max: 20 }),
      });
      await fc.assert(
        fc.asyncProperty(rules, fc.array(step, { maxLength: 12 }), async (numbers, steps) => {
          const rule: Rule = { name: 'same', ...numbers, slack: 0 };
          const subject = randomUUID();
          const process = newProcesses();
          const model = createLimiter({
            clock: { now: () => new Date(begin + at) },
            maxSubjects: 10,
          });
          for (const { wait, requests } of steps) {
            at += wait;
            const expected = await admitted(requests, rule, { at: () => model, subject });
            expect(await admitted(requests, rule, { at: process, subject })).toBe(expected);
          }
        }),
        { numRuns: 40 },
      );
    });
  });
}
