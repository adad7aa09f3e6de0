import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

/** A new secret of `bytes` random bytes (at least 16; 32 by default), base64url without padding. */
export function randomSecret(bytes = 32): string {
  if (bytes < 16) throw new RangeError('a secret has at least 128 bits');
  return randomBytes(bytes).toString('base64url');
}

/** SHA-256 of a high-entropy identifier: 32 bytes, safe to store where the identifier is not. */
export function sha256(value: string): Buffer {
  return createHash('sha256').update(value).digest();
}

/**
 * HMAC-SHA-256 of `value` under the digest key: 32 bytes.
 * `domain` keeps digests of different kinds apart, so that one can't be replayed as another.
 */
export function keyedDigest(key: Buffer, domain: string, value: string): Buffer {
  return createHmac('sha256', key).update(domain).update('\0').update(value).digest();
}

/** Whether two digests are equal, in time that depends on their lengths only. */
export function equalDigests(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
