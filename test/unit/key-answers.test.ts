import { describe, expect, it } from 'vitest';
import { keyTable } from '../../src/cli/key-answers.ts';
import type { Plan } from '../../src/cli/key-answers.ts';
import type { RingKey } from '../../src/signing-keys/key-ring.ts';

const made = new Date('2026-01-01T00:00:00Z');
const schedule = { rotateSeconds: 90 * 86_400, announceSeconds: 14 * 86_400 };
const plan: Plan = { schedule, now: new Date('2026-01-02T00:00:00Z') };

function key(more: Partial<RingKey>): RingKey {
  return {
    ...{ kid: 'first', algorithm: 'RS256', stage: 'active', origin: 'operator' },
    ...{ signer: 'sealed', reference: undefined, publicJwk: {}, createdAt: made },
    ...{ activateAt: undefined, activatedAt: made, retiredAt: undefined },
    ...{ destroyAt: undefined, endedAt: undefined },
    ...more,
  } as RingKey;
}

/** What NEXT says of the key `first` among these. */
function next(keys: readonly RingKey[], by: Plan = plan): string {
  const [header = '', ...rows] = keyTable(keys, by).split('\n');
  const row = rows.find((line) => line.startsWith('first ')) ?? '';
  return row.slice(header.indexOf('NEXT')).trim();
}

describe('NEXT of the key that signs', () => {
  it('is when its successor is announced, by the schedule', () => {
    expect(next([key({})])).toBe('successor announced 2026-03-18T00:00:00.000Z');
  });

  it('is now where that is overdue', () => {
    const now = new Date('2027-01-01T00:00:00Z');
    expect(next([key({})], { schedule, now })).toBe('successor announced 2027-01-01T00:00:00.000Z');
  });

  it('is when the announced one replaces it', () => {
    const activateAt = new Date('2026-04-01T00:00:00Z');
    const second = key({ kid: 'second', stage: 'announced', activateAt });
    expect(next([key({}), second])).toBe('replaced 2026-04-01T00:00:00.000Z');
    const byHand = key({ kid: 'second', stage: 'announced', activateAt: undefined });
    expect(next([key({}), byHand])).toBe('replaced when the announced one is promoted');
  });

  it('is nothing where operators rotate', () => {
    expect(next([key({})], { ...plan, schedule: { ...schedule, rotateSeconds: 0 } })).toBe('');
  });
});
