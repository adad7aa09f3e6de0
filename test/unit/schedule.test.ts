import { beforeEach, describe, expect, it, vi } from 'vitest';
import { generateKey } from '../../src/signing-keys/key-material.ts';
import type { KeyMaterial } from '../../src/signing-keys/key-material.ts';
import type { RingKey, SigningAlgorithm } from '../../src/signing-keys/key-ring.ts';
import { createSchedule } from '../../src/signing-keys/schedule.ts';
import { signerFailure } from '../../src/signing-keys/signers/signer.ts';

const day = 86_400_000;
const begin = new Date('2026-01-01T00:00:00Z');
const policy = {
  ...{ rotateSeconds: 90 * 86_400, announceSeconds: 14 * 86_400 },
  ...{ readerWaitSeconds: 7 * 86_400, keepSeconds: 3900 },
};

const keyOf = (algorithm: SigningAlgorithm, changes: Partial<RingKey> = {}): RingKey => ({
  ...{ kid: `${algorithm}-1`, algorithm, stage: 'active', origin: 'operator', signer: 'pkcs11' },
  ...{ publicJwk: { kty: 'RSA' }, reference: '01', createdAt: begin, activatedAt: begin },
  ...{ activateAt: undefined, retiredAt: undefined, destroyAt: undefined, endedAt: undefined },
  ...changes,
});

const ring = [
  keyOf('PS256'),
  keyOf('RS256'),
  keyOf('ES256'),
  keyOf('PS256', { kid: 'PS256-0', stage: 'retired', destroyAt: begin }),
];

/** A schedule whose signer is asked by name, and never answers for PS256 until it is told how. */
function world() {
  let now = begin;
  const done: string[] = [];
  const asked: SigningAlgorithm[] = [];
  const hanging: ((failure: Error) => void)[] = [];
  const failing = new Map<string, Error>();
  const move = (name: string) => {
    const failure = failing.get(name);
    if (failure !== undefined) return Promise.reject(failure);
    done.push(name);
    return Promise.resolve(true);
  };
  const runDue = createSchedule({
    store: {
      announce: ({ algorithm }) => move(`announce ${algorithm}`),
      promote: (kid) => move(`promote ${kid}`),
      retire: (kid) => move(`retire ${kid}`),
      destroy: (kid) => move(`destroy ${kid}`),
    },
    signers: {
      generate(algorithm) {
        asked.push(algorithm);
        if (algorithm !== 'PS256') return generateKey(algorithm);
        return new Promise<KeyMaterial>((_, reject) => hanging.push(reject));
      },
      discard: () => Promise.resolve(),
    },
    readers: { known: () => Promise.resolve([]) },
    clock: { now: () => now },
    record: () => undefined,
    policy,
  });
  return {
    ...{ runDue, done, asked, hanging, failing },
    at: (days: number): void => {
      now = new Date(begin.getTime() + days * day);
    },
  };
}

describe('A signer that never answers', () => {
  let { runDue, done, asked, hanging, failing, at } = world();

  beforeEach(() => {
    ({ runDue, done, asked, hanging, failing, at } = world());
    at(80);
  });

  it('keeps no other step of the schedule from being carried out', async () => {
    void runDue(ring);
    await vi.waitFor(() => {
      expect(done.toSorted()).toEqual(['announce ES256', 'announce RS256', 'destroy PS256-0']);
    });
    expect(asked).toContain('PS256');
  });

  it('does not keep back that another step failed', async () => {
    const failure = new Error('the database is away');
    failing.set('announce ES256', failure);
    const told: unknown[] = [];
    const look = runDue(ring, (error) => void told.push(error));
    await expect.poll(() => told).toEqual([failure]);
    expect(hanging).toHaveLength(1);
    const later = signerFailure('timeout', 'no answer');
    hanging[0]?.(later);
    await expect(look).rejects.toBe(later);
    expect(told).toEqual([failure, later]);
  });

  it('is asked once, however often one looks, and again when it has failed', async () => {
    const looks = [runDue(ring), runDue([keyOf('PS256')])];
    const failure = signerFailure('timeout', 'no answer');
    hanging[0]?.(failure);
    for (const look of looks) await expect(look).rejects.toBe(failure);
    expect(asked.filter((algorithm) => algorithm === 'PS256')).toHaveLength(1);
    const next = runDue([keyOf('PS256')]);
    hanging[1]?.(failure);
    await expect(next).rejects.toBe(failure);
    expect(asked.filter((algorithm) => algorithm === 'PS256')).toHaveLength(2);
  });

  it('of a key that is not due is not asked', async () => {
    at(70);
    await runDue(ring);
    expect([done, asked]).toEqual([['destroy PS256-0'], []]);
  });
});
