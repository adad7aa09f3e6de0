import { Problem } from '../../problem.ts';
import type { KeyMaterial } from '../key-material.ts';
import type { PrivateJwk, PublicJwk, SignerName, SigningAlgorithm } from '../key-ring.ts';

/** Signs the bytes of a JWS; resolves to the signature of RFC 7518 §3: of ECDSA, R and S side by side. */
export type Sign = (data: Uint8Array) => Promise<Buffer>;

/** A key that somebody else keeps, and what finds it again there. */
export interface KeptKey {
  kid: string;
  algorithm: SigningAlgorithm;
  publicJwk: PublicJwk;
  signer: Exclude<SignerName, 'sealed'>;
  reference: string;
}

/** A key that somebody made at its signer by other means: its label there, its CKA_ID (hex), or both. */
export interface WantedKey {
  algorithm: SigningAlgorithm;
  label?: string | undefined;
  id?: string | undefined;
}

/** The public half of a key at its signer, and what finds the key again there. */
export type FoundKey = Pick<KeptKey, 'publicJwk' | 'reference'>;

/** A key of the ring as its signer needs it. */
export interface SignableKey {
  kid: string;
  algorithm: SigningAlgorithm;
  publicJwk: PublicJwk;
  privateJwk: PrivateJwk | undefined;
  reference: string | undefined;
}

/** Where private keys lie, and what signs with them: this process, an HSM, a key service. */
export interface Signer {
  /** A new key. Problem('signer_unavailable'). */
  generate(algorithm: SigningAlgorithm): Promise<KeyMaterial | KeptKey>;
  /** A key that is there already. Problem('signing_key_invalid', 'signer_unavailable'). */
  adopt?(wanted: WantedKey): Promise<KeptKey>;
  /** What signs with a key; asks nobody yet. It rejects with Problem('signer_unavailable'). */
  open(key: SignableKey): Sign;
  /** Takes away a key that was made and will never be used. */
  discard(key: KeptKey): Promise<void>;
  close(): Promise<void>;
}

/** How long making a key may take, ms: longer than a signature, shorter than the 15 s for which a process counts as alive. */
export const generateMs = 10_000;

/** Why nothing was signed: out of time, too many at once, nobody there, or told no. */
export const signerFaults = ['timeout', 'busy', 'unavailable', 'refused'] as const;
export type SignerFault = (typeof signerFaults)[number];

/** A failure that passes: callers are told to come again, and the log why. */
export function signerFailure(fault: SignerFault, detail: string, cause?: unknown): Problem {
  return new Problem('signer_unavailable', { detail: `${fault}: ${detail}`, cause });
}

/** The fault that {@link signerFailure} was made for; "unavailable" for everything else. */
export function faultOf(error: unknown): SignerFault {
  const detail = error instanceof Problem ? (error.detail ?? '') : '';
  return signerFaults.find((fault) => detail.startsWith(`${fault}: `)) ?? 'unavailable';
}

/** The reference of a key that is kept elsewhere. Problem('signing_key_invalid') without one. */
export function referenceOf({ kid, reference }: SignableKey): string {
  if (reference !== undefined) return reference;
  throw new Problem('signing_key_invalid', { detail: `${kid} does not say where it is kept` });
}
