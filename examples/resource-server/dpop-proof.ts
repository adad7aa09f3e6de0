import { createHash } from 'node:crypto';
import { calculateJwkThumbprint, EmbeddedJWK, errors, jwtVerify } from 'jose';
import type { JWTPayload } from 'jose';
import { Refusal } from './refusal.ts';

/** What a DPoP proof is checked against (RFC 9449 §4.3). */
export interface ProofChecks {
  /** The access token that came with it. */
  token: string;
  method: string;
  /** The address of the request as the caller wrote it, without query and fragment. */
  url: string;
  now: () => Date;
}

/** A proof that holds; whether it comes for the first time is still to be seen. */
export interface Proof {
  jti: string;
  /** Of its key (RFC 7638). */
  thumbprint: string;
}

/** Asymmetric ones, as always where the sender brings the key. */
const algorithms = ['ES256', 'PS256', 'EdDSA', 'Ed25519'];

/** How far a proof's time may be off in either direction, in seconds: its `jti` is remembered that long. */
const windowSeconds = 60;

/** Verifies the proof in a `DPoP` header. Throws a {@link Refusal}. */
export async function verifyProof(proof: string, checks: ProofChecks): Promise<Proof> {
  const { payload, thumbprint } = await verified(proof);
  const fault = faultOf(payload, checks);
  if (fault !== undefined) throw new Refusal('invalid_dpop_proof', fault);
  return { jti: payload.jti ?? '', thumbprint };
}

async function verified(proof: string): Promise<{ payload: JWTPayload; thumbprint: string }> {
  try {
    const { payload, protectedHeader } = await jwtVerify(proof, EmbeddedJWK, {
      algorithms,
      typ: 'dpop+jwt',
      requiredClaims: ['jti', 'iat', 'htm', 'htu', 'ath'],
    });
    return { payload, thumbprint: await calculateJwkThumbprint(protectedHeader.jwk ?? {}) };
  } catch (error) {
    if (!(error instanceof errors.JOSEError)) throw error;
    throw new Refusal('invalid_dpop_proof', 'the proof is not valid');
  }
}

function faultOf(
  { htm, htu, iat, ath }: JWTPayload,
  { token, method, url, now }: ProofChecks,
): string | undefined {
  if (htm !== method || withoutQuery(htu) !== url) return 'the proof is for another request';
  if (ath !== createHash('sha256').update(token).digest('base64url')) {
    return 'the proof is for another token';
  }
  const distance = Math.abs(now().getTime() / 1000 - (iat ?? 0));
  return distance > windowSeconds ? 'the proof is too old or from the future' : undefined;
}

function withoutQuery(address: unknown): string | undefined {
  const url = typeof address === 'string' ? URL.parse(address) : null;
  return url === null ? undefined : url.origin + url.pathname;
}

/**
 * Refuses proofs that were used, in this process: several ones need a store that they share. Ask it last, so that only
 * holders of a good token fill it: with 100,000 in the two minutes that a proof can be good for.
 */
export function createProofMemory(now: () => Date): (proof: Proof) => void {
  const seen = new Map<string, number>();
  return ({ jti, thumbprint }) => {
    const name = `${thumbprint} ${jti}`;
    const present = now().getTime() / 1000;
    for (const [old, end] of seen) {
      if (end > present) break;
      seen.delete(old);
    }
    if (seen.has(name) || seen.size >= 100_000) {
      throw new Refusal('invalid_dpop_proof', 'the proof was already used');
    }
    seen.set(name, present + 2 * windowSeconds);
  };
}
