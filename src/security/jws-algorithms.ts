import { constants, createPublicKey, verify } from 'node:crypto';
import type { SignKeyObjectInput } from 'node:crypto';

interface Algorithm {
  digest: string | null;
  options?: Partial<SignKeyObjectInput>;
}

/** How each JWS algorithm signs (RFC 7518 §3, RFC 8037): digest and key options. */
export const jwsAlgorithms: Partial<Record<string, Algorithm>> = {
  RS256: { digest: 'RSA-SHA256' },
  PS256: {
    digest: 'RSA-SHA256',
    options: {
      padding: constants.RSA_PKCS1_PSS_PADDING,
      saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
    },
  },
  ES256: { digest: 'sha256', options: { dsaEncoding: 'ieee-p1363' } },
  EdDSA: { digest: null },
};

/** What was signed by whom: a public JWK and the algorithm that it is for. */
export interface SignedBytes {
  publicJwk: Record<string, unknown>;
  algorithm: string;
  data: Uint8Array;
  signature: Uint8Array;
}

/** Whether a JWS signature over `data` verifies; false also for keys and signatures that are none. */
export function isJwsSignature({ publicJwk, algorithm, data, signature }: SignedBytes): boolean {
  const known = jwsAlgorithms[algorithm];
  if (known === undefined) return false;
  try {
    const key = createPublicKey({ key: publicJwk, format: 'jwk' });
    return verify(known.digest, data, { ...known.options, key }, signature);
  } catch {
    return false;
  }
}
