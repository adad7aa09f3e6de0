import { createPublicKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import type Koa from 'koa';
import { ExternalSigningKey } from 'oidc-provider';
import type { JWK } from 'jose';
import type { Share, SigningKey } from '../ports.ts';

/**
 * A key of ours behind oidc-provider's interface for external keys (a class, so this is one) instead of its own way
 * through WebCrypto: who signs is not its affair.
 */
class PublishedSigningKey extends ExternalSigningKey {
  readonly #kid: string;
  readonly #alg: string;
  readonly #publicKey: KeyObject;
  readonly #sign: (data: Uint8Array) => Promise<Buffer>;

  constructor({ jwk: { kid, alg, ...jwk }, signer }: SigningKey) {
    super();
    if (kid === undefined || alg === undefined)
      throw new Error('a signing key needs a kid and alg');
    this.#kid = kid;
    this.#alg = alg;
    this.#publicKey = createPublicKey({ key: jwk, format: 'jwk' });
    this.#sign = signer === undefined ? refuseToSign : (data) => signer.sign(data);
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

/** Announced and retired keys have nothing that signs. */
function refuseToSign(): Promise<never> {
  return Promise.reject(new Error('a key that does not sign was asked to'));
}

/** Algorithms for which one of the keys signs: what may be promised and used. */
export function algorithmsThatSign(keys: readonly SigningKey[]): string[] {
  const signing = keys.filter(({ signer }) => signer !== undefined);
  return [...new Set(signing.flatMap(({ jwk }) => jwk.alg ?? []))];
}

/** The published keys; the first of an algorithm that signs does. */
export function signingKeyShare(keys: readonly SigningKey[]): Share {
  // The types know only JWKs; the documented interface for external keys takes instances as well.
  const instances = keys.map((key) => new PublishedSigningKey(key) as unknown as JWK);
  return {
    jwks: { keys: instances },
    features: { externalSigningSupport: { enabled: true, ack: 'experimental-01' } },
  };
}

/**
 * Refuses what would end in a signature while none can be had: a code that was used up for nothing is lost, and counts as
 * stolen when the client comes with it again. Problem('signer_unavailable').
 */
export function refuseWithoutSigner(keys: readonly SigningKey[]): Koa.Middleware {
  const signers = keys.flatMap(({ signer }) => signer ?? []);
  return async function refuseWithoutSignature(_ctx, next) {
    for (const signer of signers) await signer.ready();
    await next();
  };
}
