import { describe, expect, it } from 'vitest';
import { createMetrics } from '../../src/observability/metrics.ts';
import { overdueKeys } from '../../src/signing-keys/key-ring.ts';
import type { StagedKey } from '../../src/signing-keys/key-ring.ts';
import { createOverdueWatch } from '../../src/signing-keys/overdue.ts';
import { recordingLogger } from '../support/recording-logger.ts';

const day = 86_400_000;
const begin = new Date('2026-01-01T00:00:00Z');
const after = (days: number) => new Date(begin.getTime() + days * day);
const schedule = { rotateSeconds: 90 * 86_400, announceSeconds: 14 * 86_400 };

const key = (algorithm: StagedKey['algorithm'], activatedAt: Date): StagedKey => ({
  kid: `${algorithm}-1`,
  ...{ algorithm, stage: 'active', createdAt: begin, activatedAt },
  ...{ activateAt: undefined, destroyAt: undefined },
});

describe('A key that should have been replaced', () => {
  it('is overdue from its end on, for each algorithm by itself', () => {
    const keys = [key('RS256', begin), key('ES256', after(50))];
    const overdue = (days: number) =>
      overdueKeys(keys, schedule, after(days)).map(({ overdueSeconds }) => overdueSeconds / 86_400);
    expect(overdue(90)).toEqual([0, 0]);
    expect(overdue(95)).toEqual([5, 0]);
    expect(overdue(150)).toEqual([60, 10]);
  });

  it('is so after 90 days where no schedule replaces it', () => {
    const [found] = overdueKeys(
      [key('RS256', begin)],
      { ...schedule, rotateSeconds: 0 },
      after(91),
    );
    expect(found?.overdueSeconds).toBe(86_400);
  });

  it('is measured, and told once, when the wait for resource servers is over', async () => {
    const { logger, lines } = recordingLogger();
    const metrics = createMetrics();
    let now = begin;
    const policy = { ...schedule, readerWaitSeconds: 7 * 86_400 };
    const look = createOverdueWatch({ policy, metrics, logger, clock: { now: () => now } });
    const told = [];
    for (const days of [90, 96, 98, 99]) {
      now = after(days);
      look([key('RS256', begin)]);
      told.push((await lines()).length);
    }
    expect(told).toEqual([0, 0, 1, 1]);
    expect((await lines())[0]).toMatchObject({
      message: 'A signing key should have been replaced',
      kid: 'RS256-1',
    });
    expect(await metrics.text()).toContain(
      `countersign_rotation_overdue_seconds{of="RS256"} ${String(9 * 86_400)}`,
    );
    look([key('RS256', now)]);
    expect(await metrics.text()).toContain('countersign_rotation_overdue_seconds{of="RS256"} 0');
  });
});
