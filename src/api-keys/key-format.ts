import { crc32 } from 'node:zlib';

/** Keys of production begin with `ck_live_`, all others with `ck_test_`; neither is taken where the other is made. */
export type KeyMode = 'live' | 'test';

const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** 62^43 is a little more than 2^256. */
const bodyLength = 43;
/** 62^6 is more than 2^32. */
const checksumLength = 6;
const prefixLetters = 6;

const startOf = (mode: KeyMode) => `ck_${mode}_`;

const shape = /^ck_(?:live|test)_[0-9A-Za-z]{49}$/;

/**
 * A key of 32 random bytes: `ck_live_`, the bytes in base62 (43 digits, `0-9A-Za-z`), and the checksum of all that (CRC-32
 * as in zlib, 6 digits). Letters and digits only, so that a double click takes it whole.
 */
export function keyFrom(mode: KeyMode, random: Uint8Array): string {
  if (random.length !== 32) throw new RangeError('a key has 256 bits');
  const number = BigInt(`0x${Buffer.from(random).toString('hex')}`);
  const text = startOf(mode) + base62(number, bodyLength);
  return text + checksumOf(text);
}

/** Whether a text can be a key: what was mistyped or cut off is not, and needs no looking up. */
export function isWellFormed(text: string, mode: KeyMode): boolean {
  if (!shape.test(text) || !text.startsWith(startOf(mode))) return false;
  return checksumOf(text.slice(0, -checksumLength)) === text.slice(-checksumLength);
}

/** What people may see of a key: 36 of its 256 bits. */
export function prefixOf(key: string): string {
  return key.slice(0, startOf('live').length + prefixLetters);
}

function checksumOf(text: string): string {
  return base62(BigInt(crc32(text)), checksumLength);
}

function base62(number: bigint, length: number): string {
  let rest = number;
  let text = '';
  for (let i = 0; i < length; i += 1) {
    text = digits.charAt(Number(rest % 62n)) + text;
    rest /= 62n;
  }
  return text;
}
