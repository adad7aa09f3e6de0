import { createPrivateKey, sign } from 'node:crypto';
import type { KeyObject, SignKeyObjectInput } from 'node:crypto';
import { promisify } from 'node:util';
import { Problem } from '../../problem.ts';
import { jwsAlgorithms } from '../../security/jws-algorithms.ts';
import { generateKey } from '../key-material.ts';
import type { Sign, SignableKey, Signer } from './signer.ts';

/**
 * `crypto.sign` on the thread pool, so that other requests go on meanwhile. Signing at once, off the pool, cost 16 to 21 %
 * more CPU a token on two cores, and holds up everything else for the 0.3 ms that RSA takes.
 */
const signInPool = promisify<string | null, Uint8Array, KeyObject | SignKeyObjectInput, Buffer>(
  sign,
);

/** Signs in this process with private keys that are sealed in the database. */
export function createLocalSigner(): Signer {
  return {
    generate: (algorithm) => generateKey(algorithm),
    open: signerWith,
    discard: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
}

function signerWith({ kid, algorithm, privateJwk }: SignableKey): Sign {
  const known = jwsAlgorithms[algorithm];
  if (privateJwk === undefined || known === undefined) {
    throw new Problem('signing_key_invalid', { detail: `${kid} has no private part` });
  }
  const { digest, options } = known;
  const privateKey = createPrivateKey({ key: privateJwk, format: 'jwk' });
  // The bare key where it will do: around an object Node makes and drops an error each time (20 µs).
  const input = options === undefined ? privateKey : { key: privateKey, ...options };
  return (data) => signInPool(digest, data, input);
}
