import { createHmac, createSecretKey, hash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { KeyObject } from 'node:crypto';

/** A new secret of `bytes` random bytes (at least 16; 32 by default), base64url without padding. */
export function randomSecret(bytes = 32): string {
  if (bytes < 16) throw new RangeError('a secret has at least 128 bits');
  return randomBytes(bytes).toString('base64url');
}

/** SHA-256 of a high-entropy identifier: 32 bytes, safe to store where the identifier is not. */
export function sha256(value: string): Buffer {
  return hash('sha256', value, 'buffer');
}

/** The same as base64url, 43 characters: in a quarter of the time, because no buffer is made. */
export function sha256Text(value: string): string {
  return hash('sha256', value, 'base64url');
}

/**
 * HMAC-SHA-256 of `value` under the digest key: 32 bytes.
 * `domain` keeps digests of different kinds apart, so that one can't be replayed as another.
 */
export function keyedDigest(key: Buffer, domain: string, value: string): Buffer {
  return createHmac('sha256', keyObjectOf(key)).update(`${domain}\0`).update(value).digest();
}

/** From bytes Node makes a key each time (10 instead of 4 µs a digest); the few that there are live as long as the process. */
const keyObjects = new WeakMap<Buffer, KeyObject>();

function keyObjectOf(key: Buffer): KeyObject {
  const known = keyObjects.get(key) ?? createSecretKey(key);
  keyObjects.set(key, known);
  return known;
}

/** Whether two digests are equal, in time that depends on their lengths only. */
export function equalDigests(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
