import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createSecretKey,
  randomBytes,
} from 'node:crypto';

/** Seals and opens values that the database keeps. */
export interface Encryption {
  /** AES-256-GCM under the first key; `context` is bound to the result and must be given again to open it. */
  seal(plaintext: string, context: string): Uint8Array<ArrayBuffer>;
  /** The plaintext; throws when the value was changed, moved to another context or sealed under an unknown key. */
  open(sealed: Uint8Array, context: string): string;
}

const version = 1;
const keyIdBytes = 4;
const ivBytes = 12;
const tagBytes = 16;
const headerBytes = 1 + keyIdBytes + ivBytes + tagBytes;

/** How a key is told apart in what it sealed: the first 4 bytes of its SHA-256. */
export function keyIdOf(key: Buffer): Buffer {
  return createHash('sha256').update(key).digest().subarray(0, keyIdBytes);
}

/** The {@link keyIdOf} of the key under which a value was sealed. */
export function sealedUnder(sealed: Uint8Array): Buffer {
  return Buffer.from(sealed.subarray(1, 1 + keyIdBytes));
}

/**
 * Encryption under 32-byte keys: the first seals, all open (so that a key can be replaced).
 * Layout: version (1) | key id (4) | IV (12) | tag (16) | ciphertext. NIST SP 800-38D: random 96-bit IVs stay
 * below 2^32 values a key.
 */
export function createEncryption(keys: readonly Buffer[]): Encryption {
  const ring = keys.map((key) => {
    if (key.length !== 32) throw new RangeError('an encryption key has 32 bytes');
    // As a KeyObject: from bytes Node makes one each time (4 instead of 17 µs a value).
    return { key: createSecretKey(key), id: keyIdOf(key) };
  });
  const [active] = ring;
  if (active === undefined) throw new RangeError('encryption needs a key');

  return {
    seal(plaintext, context) {
      const iv = randomBytes(ivBytes);
      const cipher = createCipheriv('aes-256-gcm', active.key, iv);
      cipher.setAAD(Buffer.from(context));
      const body = Buffer.concat([cipher.update(plaintext, 'utf8'), cipher.final()]);
      return new Uint8Array(
        Buffer.concat([Buffer.from([version]), active.id, iv, cipher.getAuthTag(), body]),
      );
    },

    open(sealed, context) {
      const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength);
      if (bytes.length < headerBytes || bytes[0] !== version) throw new Error('not a sealed value');
      const id = bytes.subarray(1, 1 + keyIdBytes);
      const entry = ring.find((candidate) => candidate.id.equals(id));
      if (entry === undefined) throw new Error('sealed under a key that is not configured');
      const ivEnd = 1 + keyIdBytes + ivBytes;
      const decipher = createDecipheriv('aes-256-gcm', entry.key, bytes.subarray(5, ivEnd));
      decipher.setAAD(Buffer.from(context));
      decipher.setAuthTag(bytes.subarray(ivEnd, headerBytes));
      const plaintext = decipher.update(bytes.subarray(headerBytes));
      decipher.final(); // throws unless the tag is right; GCM holds nothing back for it
      return plaintext.toString('utf8');
    },
  };
}
