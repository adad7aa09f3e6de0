import { describe, expect, it } from 'vitest';
import { activationMoves, retirementMove, stageOfNewKey } from '../../src/signing-keys/key-ring.ts';
import type { KeyStage, SigningAlgorithm, SigningKey } from '../../src/signing-keys/key-ring.ts';

function key(kid: string, stage: KeyStage, algorithm: SigningAlgorithm = 'RS256'): SigningKey {
  const privateJwk = { kty: 'RSA', d: 'd' };
  return { kid, algorithm, stage, createdAt: new Date(0), privateJwk };
}

const ring = [
  key('old', 'retired'),
  key('present', 'active'),
  key('next', 'announced'),
  key('ec', 'active', 'ES256'),
];

describe('A new key', () => {
  it('signs at once only where none of its algorithm does', () => {
    expect(stageOfNewKey([], 'RS256')).toBe('active');
    expect(stageOfNewKey(ring, 'RS256')).toBe('announced');
    expect(stageOfNewKey(ring, 'PS256')).toBe('active');
  });
});

describe('Activating a key', () => {
  it('retires the one of its algorithm, after the new one signs', () => {
    expect(activationMoves(ring, 'next')).toEqual([
      { kid: 'next', stage: 'active' },
      { kid: 'present', stage: 'retired' },
    ]);
  });

  it('changes nothing else when it signs already', () => {
    expect(activationMoves(ring, 'present')).toEqual([{ kid: 'present', stage: 'active' }]);
  });

  it('needs a key that is there', () => {
    expect(() => activationMoves(ring, 'none')).toThrow('there is no key none');
  });
});

describe('Retiring a key', () => {
  it('is refused for the last one that the server can not start without', () => {
    expect(() => retirementMove(ring, 'present')).toThrow('activate another one first');
    const both = [...ring, key('second', 'active')];
    expect(retirementMove(both, 'present')).toEqual({ kid: 'present', stage: 'retired' });
  });

  it('is free for others', () => {
    expect(retirementMove(ring, 'ec')).toEqual({ kid: 'ec', stage: 'retired' });
    expect(retirementMove(ring, 'next')).toEqual({ kid: 'next', stage: 'retired' });
  });
});
