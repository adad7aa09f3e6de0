import { createHash } from 'node:crypto';
import { Refusal } from './refusal.ts';

/** What the caller has shown besides the token. */
export interface SenderProof {
  /** `x5t#S256` of the caller's certificate. */
  certificate: string | undefined;
  /** RFC 7638 thumbprint of the key whose proof was verified. */
  key: string | undefined;
}

/** `x5t#S256` of a certificate: the SHA-256 of its DER, base64url without padding (RFC 8705 §3.1). */
export function thumbprintOf(der: Uint8Array): string {
  return createHash('sha256').update(der).digest('base64url');
}

/**
 * Refuses a token that is presented without what it is bound to: each binding in `cnf` has to be shown (RFC 8705 §3, RFC 9449
 * §7.1), and one that is not known here can't be. Throws a {@link Refusal}.
 */
export function checkBinding(
  confirmation: unknown,
  shown: SenderProof,
  unboundTokens: 'refuse' | 'accept',
): void {
  const { certificate, key } = bindingsIn(confirmation);
  if (certificate !== undefined && shown.certificate === undefined) {
    throw new Refusal('invalid_token', 'the token is bound and no certificate was presented');
  }
  if (certificate !== undefined && certificate !== shown.certificate) {
    throw new Refusal('invalid_token', 'the token is bound to another certificate');
  }
  if (key !== shown.key) {
    // Also a proof for a token that is bound to no key, and a bound one presented as a bearer token (RFC 9449 §7.2).
    throw new Refusal('invalid_token', 'the token is not bound to the key of the proof');
  }
  if (certificate === undefined && key === undefined && unboundTokens !== 'accept') {
    throw new Refusal('invalid_token', 'the token is bound to no certificate and no key');
  }
}

function bindingsIn(confirmation: unknown): SenderProof {
  if (confirmation === undefined) return { certificate: undefined, key: undefined };
  const members = Object.entries(Object(confirmation) as object);
  const known = members.filter(([name]) => name === 'x5t#S256' || name === 'jkt');
  const isUnderstood = known.every(([, value]) => typeof value === 'string' && value !== '');
  if (known.length === 0 || known.length < members.length || !isUnderstood) {
    throw new Refusal('invalid_token', 'the token is bound in a way that is not known here');
  }
  const { 'x5t#S256': certificate, jkt: key } = Object.fromEntries(known) as Record<string, string>;
  return { certificate, key };
}
