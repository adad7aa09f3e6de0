import { constants, createPrivateKey, createPublicKey, sign } from 'node:crypto';
import type { KeyObject, SignKeyObjectInput } from 'node:crypto';
import { promisify } from 'node:util';
import { ExternalSigningKey } from 'oidc-provider';
import type { JWK } from 'jose';
import type { Share } from './ports.ts';

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

/** `crypto.sign` on the thread pool, so that other requests go on meanwhile. */
const signInPool = promisify<string | null, Uint8Array, KeyObject | SignKeyObjectInput, Buffer>(
  sign,
);

/**
 * A signing key in this process, behind oidc-provider's interface for external keys (a class, so this is one) instead of
 * its own way through WebCrypto. Signing at once, off the pool, cost 16 to 21 % more CPU a token on two cores, and holds up
 * everything else for the 0.3 ms that RSA takes.
 */
class LocalSigningKey extends ExternalSigningKey {
  readonly #kid: string;
  readonly #alg: string;
  readonly #publicKey: KeyObject;
  readonly #sign: (data: Uint8Array) => Promise<Buffer>;

  constructor({ kid, alg, ...jwk }: JWK) {
    super();
    const algorithm = jwsAlgorithms[alg ?? ''];
    if (kid === undefined || alg === undefined || algorithm === undefined) {
      throw new Error('a signing key needs a kid and a known alg');
    }
    this.#kid = kid;
    this.#alg = alg;
    this.#publicKey = createPublicKey({ key: jwk, format: 'jwk' });
    this.#sign = jwk.d === undefined ? refuseToSign : signer(algorithm, jwk);
  }

  override get kid(): string {
    return this.#kid;
  }

  override get alg(): string {
    return this.#alg;
  }

  override keyObject(): KeyObject {
    return this.#publicKey;
  }

  override sign(data: Uint8Array): Promise<Buffer> {
    return this.#sign(data);
  }
}

function signer({ digest, options }: Algorithm, jwk: JWK): (data: Uint8Array) => Promise<Buffer> {
  const privateKey = createPrivateKey({ key: jwk, format: 'jwk' });
  // The bare key where it will do: around an object Node makes and drops an error each time (20 µs).
  const input = options === undefined ? privateKey : { key: privateKey, ...options };
  return (data) => signInPool(digest, data, input);
}

/** Announced and retired keys come without their private part. */
function refuseToSign(): Promise<never> {
  return Promise.reject(new Error('a key that does not sign was asked to'));
}

/** Algorithms for which one of the keys signs: what may be promised and used. */
export function algorithmsThatSign(privateKeys: readonly JWK[]): string[] {
  const signing = privateKeys.filter(
    ({ key_ops: operations }) => operations?.includes('sign') ?? true,
  );
  return [...new Set(signing.flatMap(({ alg }) => alg ?? []))];
}

/** The published keys; the first of an algorithm that signs does. */
export function signingKeyShare(privateKeys: readonly JWK[]): Share {
  // The types know only JWKs; the documented interface for external keys takes instances as well.
  const keys = privateKeys.map((jwk) => new LocalSigningKey(jwk) as unknown as JWK);
  return {
    jwks: { keys },
    features: { externalSigningSupport: { enabled: true, ack: 'experimental-01' } },
  };
}
