import { expect, it, vi } from 'vitest';
import { generateKey, publicJwkOf } from '../../src/signing-keys/key-material.ts';
import type { OpenedKey } from '../../src/signing-keys/key-ring-store.ts';
import type { KeyStage } from '../../src/signing-keys/key-ring.ts';
import { createPublishedRing } from '../../src/signing-keys/published-ring.ts';
import { signerFailure } from '../../src/signing-keys/signers/signer.ts';
import { recordingLogger } from '../support/recording-logger.ts';

const within = { timeout: 10_000, interval: 10 };

async function openedKey(kid: string, stage: KeyStage): Promise<OpenedKey> {
  const { privateJwk } = await generateKey('RS256');
  return {
    ...{ kid, stage, algorithm: 'RS256', origin: 'operator', signer: 'sealed' },
    ...{ publicJwk: publicJwkOf(privateJwk), privateJwk, fault: undefined, reference: undefined },
    ...{ createdAt: new Date(0), activatedAt: new Date(0), activateAt: undefined },
    ...{ retiredAt: undefined, destroyAt: undefined, endedAt: undefined },
  };
}

it.each(['when all have ended', 'while others go on'])(
  'A signer for which the schedule waits does not keep the process from following the ring, and a failure is told %s',
  async (moment) => {
    const log = recordingLogger();
    let keys = [await openedKey('first', 'active')];
    let fail: ((failure: Error) => void) | undefined;
    let looks = 0;
    let isWell = false;
    const published: string[][] = [];
    const ring = createPublishedRing({
      store: { open: () => Promise.resolve(keys) },
      processes: {
        report: () => Promise.resolve(),
        leave: () => Promise.resolve(),
        live: () => Promise.resolve([]),
      },
      rotation: {
        runDue(_keys, onFailure) {
          looks += 1;
          if (isWell) return Promise.resolve();
          return new Promise((_, reject) => {
            fail = moment === 'while others go on' ? onFailure : reject;
          });
        },
      },
      signers: {
        lackFor: () => undefined,
        prove: () => Promise.resolve(),
        open: () => ({
          sign: () => Promise.reject(new Error('unused')),
          ready: () => Promise.resolve(),
        }),
      },
      changes: { subscribe: () => undefined, isLive: () => false },
      logger: log.logger,
    });
    await ring.join();
    ring.start((swapped) => void published.push(swapped.map(({ jwk }) => jwk.kid ?? '')));
    await vi.waitUntil(() => looks > 0, within);
    keys = [...keys, await openedKey('second', 'announced')];
    await vi.waitUntil(() => published.length > 0, within);
    expect(published).toEqual([['first', 'second']]);
    isWell = true;
    fail?.(signerFailure('timeout', 'no answer'));
    await expect.poll(() => log.raw(), within).toContain('The key ring could not be followed');
    await expect.poll(() => log.raw(), within).toContain('The key ring is followed again');
    await ring.stop();
  },
);
