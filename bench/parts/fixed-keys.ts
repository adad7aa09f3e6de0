import { createPrivateKey, sign } from 'node:crypto';
import { promisify } from 'node:util';
import type { JWK } from 'jose';
import { jwsAlgorithms } from '../../src/security/jws-algorithms.ts';
import type { World } from './world.ts';

const inPool = promisify(sign) as (
  digest: string | null | undefined,
  data: Uint8Array,
  key: object,
) => Promise<Buffer>;

/** The keys of the beginning as the engine takes them, without a ring. */
export function fixedKeys({ signingKey, fapiKey }: World) {
  return [signingKey, fapiKey].map((privateJwk) => {
    const { kty, n, e, kid, alg } = privateJwk;
    const { digest, options } = jwsAlgorithms[alg ?? ''] ?? { digest: null };
    const key = { ...options, key: createPrivateKey({ key: privateJwk, format: 'jwk' }) };
    const jwk = { kty, n, e, kid, alg, use: 'sig', key_ops: ['sign', 'verify'] } as JWK;
    const signer = {
      sign: (data: Uint8Array) => inPool(digest, data, key),
      ready: () => Promise.resolve(),
    };
    return { jwk, signer };
  });
}
