import { expect, it, vi } from 'vitest';
import { generateKey, publicJwkOf } from '../../src/signing-keys/key-material.ts';
import type { OpenedKey } from '../../src/signing-keys/key-ring-store.ts';
import type { KeyStage } from '../../src/signing-keys/key-ring.ts';
import { createPublishedRing } from '../../src/signing-keys/published-ring.ts';
import type { PublishedKey } from '../../src/signing-keys/ring-reading.ts';
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

const surroundings = {
  processes: {
    report: () => Promise.resolve(),
    leave: () => Promise.resolve(),
    live: () => Promise.resolve([]),
  },
  changes: { subscribe: () => undefined, isLive: () => false },
};

const signers = { lackFor: () => undefined, prove: () => Promise.resolve() };

const newSigner = () => ({
  sign: () => Promise.reject(new Error('unused')),
  ready: () => Promise.resolve(),
});

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
      ...surroundings,
      store: { open: () => Promise.resolve(keys) },
      rotation: {
        runDue(_keys, onFailure) {
          looks += 1;
          if (isWell) return Promise.resolve();
          return new Promise((_, reject) => {
            fail = moment === 'while others go on' ? onFailure : reject;
          });
        },
      },
      signers: { ...signers, open: newSigner },
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

it('A key has one signer, which remembers whether it is away, however often others are swapped', async () => {
  let keys = [await openedKey('first', 'active')];
  const open = vi.fn(newSigner);
  const published: (readonly PublishedKey[])[] = [];
  const ring = createPublishedRing({
    ...surroundings,
    store: { open: () => Promise.resolve(keys) },
    rotation: { runDue: () => Promise.resolve() },
    signers: { ...signers, open },
    logger: recordingLogger().logger,
  });
  const signersOf = (swapped?: readonly PublishedKey[]) => swapped?.map(({ signer }) => signer);
  const [first] = await ring.join();
  ring.start((swapped) => void published.push(swapped));
  const [before] = keys;
  keys = [...keys, await openedKey('second', 'active')];
  await vi.waitUntil(() => published.length === 1, within);
  expect(signersOf(published[0])).toEqual([first?.signer, expect.anything()]);
  expect(signersOf(published[0])?.[0]).toBe(first?.signer);
  expect(open).toHaveBeenCalledTimes(2);
  keys = keys.filter((key) => key !== before);
  await vi.waitUntil(() => published.length === 2, within);
  keys = before === undefined ? [] : [...keys, before];
  await vi.waitUntil(() => published.length === 3, within);
  expect(signersOf(published[2])?.[1]).not.toBe(first?.signer); // a key that was gone is opened anew
  expect(open).toHaveBeenCalledTimes(3);
  await ring.stop();
});
