import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  activationOf,
  dueSteps,
  isPublished,
  keyOf,
  keyRingProblems,
  keyStages,
  orderForSigning,
  rejectRetirement,
  signerOf,
  signingAlgorithms,
  successorOf,
} from '../../src/signing-keys/key-ring.ts';
import type {
  KeyStage,
  RotationSchedule,
  SigningAlgorithm,
  StagedKey,
} from '../../src/signing-keys/key-ring.ts';

const day = 86_400_000;
const start = Date.UTC(2026, 0, 1);
const at = (days: number) => new Date(start + days * day);
const schedule: RotationSchedule = {
  rotateSeconds: 90 * 86_400,
  announceSeconds: 14 * 86_400,
};

function key(kid: string, stage: KeyStage, more: Partial<StagedKey> = {}): StagedKey {
  const times = { createdAt: at(0), activateAt: undefined, destroyAt: undefined };
  const activatedAt = stage === 'active' ? at(0) : undefined;
  return { kid, algorithm: 'RS256', stage, ...times, activatedAt, ...more };
}

const ring = [
  key('old', 'retired'),
  key('present', 'active'),
  key('next', 'announced'),
  key('ec', 'active', { algorithm: 'ES256' }),
];

describe('A key ring', () => {
  it('signs with the key of the algorithm that became active last', () => {
    const later = key('later', 'active', { activatedAt: at(1) });
    expect(
      orderForSigning([...ring, later])
        .map(({ kid }) => kid)
        .slice(0, 2),
    ).toEqual(['later', 'present']);
    expect(signerOf([...ring, later], 'RS256')?.kid).toBe('later');
    expect(signerOf(ring, 'PS256')).toBeUndefined();
    expect(successorOf(ring, 'RS256')?.kid).toBe('next');
  });

  it('publishes what is announced, active or retired', () => {
    expect(keyStages.filter((stage) => isPublished({ stage }))).toEqual([
      'announced',
      'active',
      'retired',
    ]);
  });

  it('lacks an active RS256 key, or nothing', () => {
    expect(keyRingProblems(ring)).toEqual([]);
    expect(keyRingProblems(ring.filter(({ kid }) => kid !== 'present'))).toEqual([
      'there is no active RS256 signing key',
    ]);
  });

  it('may lose any key but the last one that it can’t go on without', () => {
    expect(() => {
      rejectRetirement(ring, 'present');
    }).toThrow('promote another one first');
    rejectRetirement([...ring, key('second', 'active')], 'present');
    rejectRetirement(ring, 'ec');
    rejectRetirement(ring, 'next');
    expect(() => {
      rejectRetirement(ring, 'old');
    }).toThrow('old is retired');
    expect(() => keyOf(ring, 'none')).toThrow('there is no key none');
  });
});

describe('The schedule', () => {
  const active = key('present', 'active');
  const next = key('next', 'announced', { createdAt: at(76), activateAt: at(90) });

  it.each([
    ['announces the next key 14 days ahead, not sooner', [active], 75.9, []],
    [
      'announces the next key 14 days ahead',
      [active],
      76,
      [{ step: 'announce', algorithm: 'RS256', activateAt: at(90) }],
    ],
    [
      'gives a late key its 14 days all the same',
      [active],
      100,
      [{ step: 'announce', algorithm: 'RS256', activateAt: at(114) }],
    ],
    ['does not let it sign before its time', [active, next], 89.9, []],
    ['lets it sign at its time', [active, next], 90, [{ step: 'promote', kid: 'next' }]],
    ['does not wait where nothing signs', [next], 77, [{ step: 'promote', kid: 'next' }]],
    ['makes no key of an algorithm that has none', [key('gone', 'retired')], 1000, []],
    [
      'keeps a retired key until its last token has expired',
      [key('old', 'retired', { destroyAt: at(5) })],
      4.9,
      [],
    ],
    [
      'destroys it then',
      [key('old', 'retired', { destroyAt: at(5) })],
      5,
      [{ step: 'destroy', kid: 'old' }],
    ],
    [
      'retires the earlier of two that were promoted at once',
      [active, key('later', 'active', { activatedAt: at(1) })],
      2,
      [{ step: 'retire', kid: 'present' }],
    ],
  ] as const)('%s', (...[, keys, days, steps]) => {
    expect(dueSteps(keys, schedule, at(days))).toEqual(steps);
  });

  it('leaves new keys to the operators when it is turned off, and still destroys', () => {
    const off = { ...schedule, rotateSeconds: 0 };
    const unplanned = key('next', 'announced');
    expect(activationOf(active, off, at(0))).toBeUndefined();
    expect(dueSteps([active], off, at(1000))).toEqual([]);
    expect(dueSteps([active, unplanned], off, at(1000))).toEqual([]);
    const old = key('old', 'retired', { destroyAt: at(5) });
    expect(dueSteps([active, old], off, at(5))).toEqual([{ step: 'destroy', kid: 'old' }]);
  });
});

/** The ring as the statements of the store change it. */
function apply(keys: StagedKey[], now: Date, made: number): StagedKey[] {
  let changed = keys;
  const set = (kid: string, values: Partial<StagedKey>) => {
    changed = changed.map((each) => (each.kid === kid ? { ...each, ...values } : each));
  };
  const destroyAt = new Date(now.getTime() + 3600_000);
  for (const step of dueSteps(keys, schedule, now)) {
    if (step.step === 'announce') {
      const { algorithm, activateAt } = step;
      const kid = `${algorithm}-${String(made)}`;
      changed = [...changed, key(kid, 'announced', { algorithm, activateAt, createdAt: now })];
    } else if (step.step === 'promote') {
      const { algorithm } = keyOf(changed, step.kid);
      const signer = signerOf(changed, algorithm);
      if (signer !== undefined) set(signer.kid, { stage: 'retired', destroyAt });
      set(step.kid, { stage: 'active', activatedAt: now });
    } else set(step.kid, { stage: step.step === 'retire' ? 'retired' : 'destroyed', destroyAt });
  }
  return changed;
}

describe('Whatever time passes between two looks at the ring', () => {
  const algorithms = fc.uniqueArray(fc.constantFrom(...signingAlgorithms), { minLength: 1 });
  const pauses = fc.array(fc.integer({ min: 60, max: 60 * 86_400 }), { maxLength: 40 });

  it('one key an algorithm signs, one at most is announced, and none signs that was not published', () => {
    fc.assert(
      fc.property(algorithms, pauses, (used: SigningAlgorithm[], seconds) => {
        let keys = used.map((algorithm) => key(`${algorithm}-0`, 'active', { algorithm }));
        let now = at(0);
        for (const [index, pause] of seconds.entries()) {
          const before = keys;
          now = new Date(now.getTime() + pause * 1000);
          keys = apply(keys, now, index + 1);
          for (const algorithm of used) {
            const of = keys.filter((each) => each.algorithm === algorithm);
            expect(of.filter(({ stage }) => stage === 'active')).toHaveLength(1);
            expect(of.filter(({ stage }) => stage === 'announced').length).toBeLessThan(2);
          }
          for (const { kid, stage, createdAt } of keys) {
            if (stage !== 'active' || before.some((k) => k.kid === kid && k.stage === 'active')) {
              continue;
            }
            expect(before.find((each) => each.kid === kid)?.stage).toBe('announced');
            const announcedMs = now.getTime() - createdAt.getTime();
            expect(announcedMs).toBeGreaterThanOrEqual(schedule.announceSeconds * 1000);
          }
        }
      }),
    );
  });
});
