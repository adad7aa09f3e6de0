import type { SigningKey } from '../ports.ts';

/** A token of ours that the engine knows nothing of, such as a security event. */
export interface OwnMessage {
  /** The `typ` of its header (RFC 8725 §3.11), so that it is never taken for another kind. */
  type: string;
  algorithm: string;
  claims: Readonly<Record<string, unknown>>;
}

/**
 * A compact JWS (RFC 7515 §7.1) by the key that signs tokens with the algorithm. Rejects where none does, and with the
 * signer's Problem('signer_unavailable').
 */
export async function signMessage(
  keys: readonly SigningKey[],
  { type, algorithm, claims }: OwnMessage,
): Promise<string> {
  const key = keys.find(({ jwk, signer }) => jwk.alg === algorithm && signer !== undefined);
  if (key?.signer === undefined) throw new Error(`no key signs with ${algorithm}`);
  const header = { alg: algorithm, kid: key.jwk.kid, typ: type };
  const signed = `${encoded(header)}.${encoded(claims)}`;
  const signature = await key.signer.sign(Buffer.from(signed));
  return `${signed}.${signature.toString('base64url')}`;
}

function encoded(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}
