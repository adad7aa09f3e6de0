import { expect, it } from 'vitest';
import { createMetrics } from '../../src/observability/metrics.ts';
import { createLocalSigner } from '../../src/signing-keys/signers/local-signer.ts';
import { signerFailure } from '../../src/signing-keys/signers/signer.ts';
import { createSigners } from '../../src/signing-keys/signers/signers.ts';

it('Everybody who waits for a signer that is down waits for one attempt', async () => {
  let attempts = 0;
  const remote = {
    ...createLocalSigner(),
    open: () => () => {
      attempts += 1;
      return Promise.reject(signerFailure('unavailable', 'away'));
    },
  };
  const signers = createSigners({
    signers: { sealed: createLocalSigner(), remote },
    chosen: 'remote',
    limits: { concurrency: 50, maxWaiting: 50, timeoutMs: 1000 },
    metrics: createMetrics(),
  });
  const key = signers.open({
    ...{ kid: 'k', algorithm: 'ES256', signer: 'remote', reference: 'k:1' },
    ...{ publicJwk: { kty: 'EC' }, privateJwk: undefined },
  });
  await key.ready();
  await expect(key.sign(Buffer.from('first'))).rejects.toThrow('away');
  for (const round of [2, 3]) {
    const waiting = Array.from({ length: 20 }, () => key.ready());
    const answers = await Promise.allSettled(waiting);
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set(['rejected']));
    expect(attempts).toBe(round);
  }
  const signing = Array.from({ length: 20 }, () => key.sign(Buffer.from('more')));
  const answers = await Promise.allSettled(signing);
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set(['rejected']));
  expect(attempts).toBe(4);
});
