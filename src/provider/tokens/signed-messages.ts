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
  const key = keyThatSigns(keys, algorithm);
  if (key?.signer === undefined) throw new Error(`no key signs with ${algorithm}`);
  const signed = `${headerOf(key, type)}.${encoded(claims)}`;
  const signature = await key.signer.sign(Buffer.from(signed));
  return `${signed}.${signature.toString('base64url')}`;
}

/** The key that signs with the algorithm at the moment. */
export function keyThatSigns(
  keys: readonly SigningKey[],
  algorithm: string,
): SigningKey | undefined {
  return keys.find(({ jwk, signer }) => jwk.alg === algorithm && signer !== undefined);
}

/** The encoded header that a key was last asked for: most that it signs is of one type. */
const headers = new WeakMap<SigningKey, { type: string; header: string }>();

function headerOf(key: SigningKey, type: string): string {
  const last = headers.get(key);
  if (last?.type === type) return last.header;
  const { alg, kid } = key.jwk;
  const header = encoded({ alg, kid, typ: type });
  headers.set(key, { type, header });
  return header;
}

function encoded(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}
