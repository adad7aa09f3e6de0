import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createKeyProofs } from '../../src/signing-keys/key-proofs.ts';
import type { OpenedKey } from '../../src/signing-keys/key-ring-store.ts';
import { signerFailure } from '../../src/signing-keys/signers/signer.ts';
import { recordingLogger } from '../support/recording-logger.ts';

const announced: OpenedKey = {
  ...{ kid: 'announced', algorithm: 'ES256', stage: 'announced', signer: 'pkcs11' },
  ...{ publicJwk: { kty: 'EC' }, privateJwk: undefined, reference: '0a', fault: undefined },
  ...{ createdAt: new Date(0), origin: 'operator' },
} as OpenedKey;

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

it('A key that does not sign from here is tried ever more seldom, told once, and proven when it does', async () => {
  const log = recordingLogger();
  let tries = 0;
  let isThere = false;
  const proofs = createKeyProofs({
    logger: log.logger,
    signers: {
      prove() {
        tries += 1;
        return isThere ? Promise.resolve() : Promise.reject(signerFailure('refused', 'no key'));
      },
    },
  });
  const look = async (seconds: number) => {
    for (let turn = 0; turn < seconds * 2; turn += 1) {
      await proofs.of([announced]);
      vi.advanceTimersByTime(500);
    }
  };
  await look(60);
  expect(tries).toBeLessThan(13);
  expect(tries).toBeGreaterThan(8);
  isThere = true;
  await look(10);
  expect(await proofs.of([announced])).toEqual(new Set(['announced']));
  expect(proofs.areLacking([announced])).toBe(false);
  const told = (await log.lines()).filter(({ message }) => message.includes('does not sign'));
  expect(told).toHaveLength(1);
});

it('A signer that never answers keeps neither the ring nor other keys waiting', async () => {
  const other = { ...announced, kid: 'other' };
  let answer: (() => void) | undefined;
  const asked: string[] = [];
  const proofs = createKeyProofs({
    logger: recordingLogger().logger,
    signers: {
      prove({ kid }) {
        asked.push(kid);
        if (kid === 'other') return Promise.resolve();
        return new Promise((resolve) => (answer = resolve));
      },
    },
  });
  const ring = [announced, other];
  for (let look = 0; look < 3; look += 1) {
    const proven = proofs.of(ring);
    await vi.advanceTimersByTimeAsync(100);
    expect(await proven).toEqual(new Set(['other']));
    expect(proofs.areLacking(ring)).toBe(true);
  }
  expect(asked).toEqual(['announced', 'other']);
  answer?.();
  await vi.advanceTimersByTimeAsync(0);
  expect(proofs.areLacking(ring)).toBe(true);
  expect(await proofs.of(ring)).toEqual(new Set(['announced', 'other']));
  expect(proofs.areLacking(ring)).toBe(false);
});
