import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createEncryption } from '../../src/security/encryption.ts';
import { equalDigests, keyedDigest, randomSecret, sha256 } from '../../src/security/secrets.ts';

describe('A random secret', () => {
  it('is new each time, of the length that was asked for, and never short', () => {
    expect(new Set(Array.from({ length: 1000 }, () => randomSecret())).size).toBe(1000);
    expect(Buffer.from(randomSecret(), 'base64url')).toHaveLength(32);
    expect(Buffer.from(randomSecret(16), 'base64url')).toHaveLength(16);
    expect(() => randomSecret(15)).toThrow(RangeError);
  });
});

describe('A digest', () => {
  it('is SHA-256 (FIPS 180-4)', () => {
    const expected = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
    expect(sha256('abc').toString('hex')).toBe(expected);
  });

  it('with a key differs by key, domain and value, however they are cut', () => {
    const [key, other] = [randomBytes(32), randomBytes(32)];
    const digest = keyedDigest(key, 'a', 'bc');
    expect(keyedDigest(key, 'a', 'bc')).toEqual(digest);
    for (const different of [
      keyedDigest(other, 'a', 'bc'),
      keyedDigest(key, 'ab', 'c'),
      keyedDigest(key, '', 'abc'),
      keyedDigest(key, 'a', 'bd'),
    ]) {
      expect(equalDigests(digest, different)).toBe(false);
    }
    expect(digest).toHaveLength(32);
  });

  it('is equal to itself only', () => {
    const bytes = fc.uint8Array({ maxLength: 40 });
    fc.assert(
      fc.property(bytes, bytes, (a, b) => {
        expect(equalDigests(a, Uint8Array.from(a))).toBe(true);
        expect(equalDigests(a, b)).toBe(Buffer.from(a).equals(Buffer.from(b)));
      }),
    );
  });
});

describe('A sealed value', () => {
  const [oldKey, newKey] = [randomBytes(32), randomBytes(32)];

  it('opens to what was sealed, in its context', () => {
    const box = createEncryption([newKey]);
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string(), (plaintext, context) => {
        expect(box.open(box.seal(plaintext, context), context)).toBe(plaintext);
      }),
    );
  });

  it('is different each time, and does not show what is in it', () => {
    const box = createEncryption([newKey]);
    const [first, second] = [box.seal('plain text', 'x'), box.seal('plain text', 'x')];
    expect(Buffer.from(first).equals(Buffer.from(second))).toBe(false);
    expect(Buffer.from(first).includes('plain')).toBe(false);
  });

  it('does not open in another context, or when any byte was changed or is missing', () => {
    const box = createEncryption([newKey]);
    const sealed = box.seal('value', 'customer:1');
    expect(() => box.open(sealed, 'customer:2')).toThrow();
    for (let index = 0; index < sealed.length; index += 1) {
      const changed = Uint8Array.from(sealed, (byte, i) => (i === index ? byte ^ 1 : byte));
      expect(() => box.open(changed, 'customer:1')).toThrow();
      expect(() => box.open(sealed.subarray(0, index), 'customer:1')).toThrow();
    }
  });

  it('opens under a replaced key as long as that is configured, and seals under the first', () => {
    const old = createEncryption([oldKey]);
    const both = createEncryption([newKey, oldKey]);
    const fresh = createEncryption([newKey]);
    expect(both.open(old.seal('value', 'x'), 'x')).toBe('value');
    expect(fresh.open(both.seal('value', 'x'), 'x')).toBe('value');
    expect(() => fresh.open(old.seal('value', 'x'), 'x')).toThrow('not configured');
  });

  it('needs keys of 32 bytes', () => {
    expect(() => createEncryption([])).toThrow(RangeError);
    expect(() => createEncryption([randomBytes(16)])).toThrow(RangeError);
  });
});
