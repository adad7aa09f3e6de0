import { createHash } from 'node:crypto';
import { calculateJwkThumbprint, EmbeddedJWK, errors, jwtVerify } from 'jose';
import type { JWTPayload } from 'jose';
import { Refusal } from './refusal.ts';

/** The request that a proof has to be for (RFC 9449 §4.3). */
export interface ProvenRequest {
  method: string;
  /** Addresses at which the caller may have reached it; query and fragment don't matter. */
  urls: readonly string[];
  accessToken: string;
}

/** A proof that holds; whether it comes for the first time is still to be seen. */
export interface Proof {
  /** RFC 7638 thumbprint of its key. */
  key: string;
  /** Names the proof among all others: 43 characters. */
  id: string;
  nonce: unknown;
}

/** Algorithms of proofs. */
export const proofAlgorithms = ['ES256', 'PS256', 'EdDSA', 'Ed25519'] as const;

/** How many seconds a proof may be old; ahead it may be the clock lead. */
const proofAgeSeconds = 60;

/**
 * For how many seconds a proof is remembered, so that nobody uses it twice: its times count in whole seconds, so one that is `lead`
 * ahead holds until the second after its age is over.
 */
export const proofMemorySeconds = (lead: number) => lead + proofAgeSeconds + 1;

const maxLength = 8192;

/** Verifies the one proof in the `DPoP` headers. Rejects with a {@link Refusal}. */
export async function verifyProof(
  headers: readonly string[],
  request: ProvenRequest,
  time: { now: number; lead: number },
): Promise<Proof> {
  const [only, second] = headers;
  if (only === undefined) throw refused('there is no proof');
  if (second !== undefined || only.length > maxLength) throw refused('there is not one proof');
  const { payload, key } = await verified(only);
  const fault = requestFault(payload, request) ?? timeFault(payload, time);
  if (fault !== undefined) throw refused(fault);
  const { jti, nonce } = payload;
  if (typeof jti !== 'string' || jti === '') throw refused('jti is missing');
  const id = createHash('sha256').update(`${key} ${jti}`).digest('base64url');
  return { key, id, nonce };
}

async function verified(proof: string): Promise<{ payload: JWTPayload; key: string }> {
  try {
    const { payload, protectedHeader } = await jwtVerify(proof, EmbeddedJWK, {
      algorithms: [...proofAlgorithms],
      typ: 'dpop+jwt',
      // Its times are looked at below: `exp` and `nbf` of a proof are the caller's own affair.
      clockTolerance: '100 years',
      requiredClaims: ['jti', 'iat', 'htm', 'htu', 'ath'],
    });
    return { payload, key: await calculateJwkThumbprint(protectedHeader.jwk ?? {}) };
  } catch (error) {
    // A TypeError is what WebCrypto makes of a key that is none.
    if (error instanceof errors.JOSEError || error instanceof TypeError || isKeyError(error)) {
      throw refused('the proof can not be verified');
    }
    throw error;
  }
}

/** WebCrypto's errors about a caller's key are DOMExceptions. */
function isKeyError(error: unknown): boolean {
  return error instanceof DOMException;
}

function requestFault(
  { htm, htu, ath }: JWTPayload,
  { method, urls, accessToken }: ProvenRequest,
): string | undefined {
  if (htm !== method) return 'htm is another method';
  const proven = typeof htu === 'string' ? bare(htu) : undefined;
  if (proven === undefined || !urls.some((url) => hasOneReading(url) && bare(url) === proven)) {
    return 'htu is another address';
  }
  const expected = createHash('sha256').update(accessToken).digest('base64url');
  return ath === expected ? undefined : 'ath is of another token';
}

function timeFault(
  { iat }: JWTPayload,
  { now, lead }: { now: number; lead: number },
): string | undefined {
  if (typeof iat !== 'number') return 'iat is no time';
  return iat < now - proofAgeSeconds || iat > now + lead
    ? 'iat is too far from our time'
    : undefined;
}

/** RFC 9449 §4.3: compared after normalisation, without query and fragment. */
function bare(address: string): string | undefined {
  const url = URL.parse(address);
  return url === null ? undefined : url.origin + url.pathname;
}

/** Whether nothing changes when it is normalised: a server that does not would serve another path than was proven. */
function hasOneReading(url: string): boolean {
  return bare(url) === /^[^?#]*/.exec(url)?.[0];
}

function refused(description: string): Refusal {
  return new Refusal('invalid_dpop_proof', description);
}
