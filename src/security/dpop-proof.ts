import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { calculateJwkThumbprint, EmbeddedJWK, errors, jwtVerify } from 'jose';
import type { JWTPayload } from 'jose';
import type { Clock } from '../clock.ts';
import { epochSeconds, secondsFromNow } from '../clock.ts';

/** Why a proof is not taken (RFC 9449 §7.1, §9). */
export interface ProofFault {
  error: 'invalid_dpop_proof' | 'use_dpop_nonce';
  description: string;
}

/** A proof that holds. */
export interface JudgedProof {
  /** Of its key (RFC 7638). */
  keyThumbprint: string;
}

/** The request that a proof has to be for. */
export interface ProvenRequest {
  method: string;
  /** Without query and fragment. */
  url: string;
  accessToken: string;
}

interface Dependencies {
  /** Whose nonces they are; those of one resource are of no use at another. */
  name: string;
  clock: Clock;
  /** Whether a proof without a nonce is refused; a wrong one always is. */
  nonceRequired: boolean;
  /** 32 random bytes. */
  nonceSecret: Buffer;
  /** Secrets whose nonces are recognised still. */
  olderNonceSecrets: readonly Buffer[];
  /** Whether a `jti` of an issuer is seen for the first time. */
  firstUse: (use: { issuer: string; jti: string; expiresAt: Date }) => Promise<boolean>;
}

/** Asymmetric ones: the sender brings the key. */
const algorithms = ['PS256', 'ES256', 'EdDSA', 'Ed25519'];
/** How old a proof may be, and how far ahead of our clock, in seconds. */
const window = { old: 60, ahead: 15 };
const nonceSeconds = 60;

/** The judge of DPoP proofs at a resource (RFC 9449 §4.3), and its nonces. */
export function createProofJudge(deps: Dependencies) {
  const { clock } = deps;

  function nonceAt(step: number, secret = deps.nonceSecret): string {
    const mac = createHmac('sha256', secret).update(`${deps.name} ${String(step)}`);
    return mac.digest('base64url');
  }
  const step = () => Math.floor(epochSeconds(clock) / nonceSeconds);

  function nonceFault(nonce: unknown): ProofFault | undefined {
    if (nonce === undefined && !deps.nonceRequired) return undefined;
    const isOurs =
      typeof nonce === 'string' &&
      [deps.nonceSecret, ...deps.olderNonceSecrets].some((secret) =>
        [step(), step() - 1].some((one) => isEqual(nonceAt(one, secret), nonce)),
      );
    if (isOurs) return undefined;
    return { error: 'use_dpop_nonce', description: 'the nonce is missing or not of the moment' };
  }

  async function isFirst(jti: unknown, issuer: string): Promise<boolean> {
    const expiresAt = secondsFromNow(clock, window.old + window.ahead);
    return typeof jti === 'string' && deps.firstUse({ issuer, jti, expiresAt });
  }

  return {
    /** What the next proof should carry. */
    nonce: () => nonceAt(step()),

    async judge(proof: string, request: ProvenRequest): Promise<JudgedProof | ProofFault> {
      const verified = await verify(proof);
      if (verified === undefined) return refused('the proof can not be verified');
      const { payload, keyThumbprint } = verified;
      const why = requestFault(payload, request) ?? timeFault(payload, epochSeconds(clock));
      if (why !== undefined) return refused(why);
      const fault = nonceFault(payload['nonce']);
      if (fault !== undefined) return fault;
      const isNew = await isFirst(payload.jti, `${deps.name} ${keyThumbprint}`);
      return isNew ? { keyThumbprint } : refused('the proof was used before');
    },
  };
}

async function verify(proof: string) {
  try {
    const { payload, protectedHeader } = await jwtVerify(proof, EmbeddedJWK, {
      algorithms,
      typ: 'dpop+jwt',
      requiredClaims: ['jti', 'iat', 'htm', 'htu', 'ath'],
    });
    return { payload, keyThumbprint: await calculateJwkThumbprint(protectedHeader.jwk ?? {}) };
  } catch (error) {
    if (error instanceof errors.JOSEError || isKeyError(error)) return undefined;
    throw error;
  }
}

/** What WebCrypto makes of a caller's key that is none. */
function isKeyError(error: unknown): boolean {
  return error instanceof TypeError || error instanceof DOMException;
}

function requestFault(
  { htm, htu, ath }: JWTPayload,
  { method, url, accessToken }: ProvenRequest,
): string | undefined {
  if (htm !== method) return 'htm is another method';
  if (typeof htu !== 'string' || bare(htu) !== bare(url)) return 'htu is another address';
  const expected = createHash('sha256').update(accessToken).digest('base64url');
  return ath === expected ? undefined : 'ath is of another token';
}

function timeFault({ iat }: JWTPayload, now: number): string | undefined {
  if (typeof iat !== 'number') return 'iat is no time';
  return iat < now - window.old || iat > now + window.ahead
    ? 'iat is too far from our time'
    : undefined;
}

function bare(address: string): string | undefined {
  const url = URL.parse(address);
  return url === null ? undefined : url.origin + url.pathname;
}

function refused(description: string): ProofFault {
  return { error: 'invalid_dpop_proof', description };
}

function isEqual(one: string, other: string): boolean {
  return one.length === other.length && timingSafeEqual(Buffer.from(one), Buffer.from(other));
}
