import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { generateKey, publicJwkOf, readKey } from '../../src/signing-keys/key-material.ts';
import { signingAlgorithms } from '../../src/signing-keys/key-ring.ts';
import type { SigningAlgorithm } from '../../src/signing-keys/key-ring.ts';

const rsa = (modulusLength: number, publicExponent = 65_537) =>
  generateKeyPairSync('rsa', { modulusLength, publicExponent }).privateKey;
const ec = (namedCurve: string) => generateKeyPairSync('ec', { namedCurve }).privateKey;
const pem = (key: KeyObject) => key.export({ type: 'pkcs8', format: 'pem' }).toString();
const jwk = (key: KeyObject, more: object = {}) =>
  JSON.stringify({ ...key.export({ format: 'jwk' }), ...more });

const p256 = ec('P-256');
const rsa2048 = rsa(2048);

describe('A key that an operator brings', () => {
  it.each(signingAlgorithms)('may be any that %s signs with', async (algorithm) => {
    const made = await generateKey(algorithm);
    const read = await readKey(JSON.stringify(made.privateJwk), { algorithm });
    expect(read).toEqual({
      ...made,
      privateJwk: expect.objectContaining(made.privateJwk) as object,
    });
  });

  it.each([
    ['PKCS #8', pem(p256), undefined],
    ['SEC 1', p256.export({ type: 'sec1', format: 'pem' }).toString(), undefined],
    [
      'encrypted PKCS #8',
      p256
        .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'open' })
        .toString(),
      'open',
    ],
    ['JWK', jwk(p256), undefined],
  ])('may be %s', async (_name, text, passphrase) => {
    const read = await readKey(text, { algorithm: 'ES256', passphrase });
    expect(read.privateJwk).toMatchObject(p256.export({ format: 'jwk' }));
    expect(read.kid).toMatch(/^[\w-]{43}$/);
  });

  it('keeps its own name', async () => {
    const read = await readKey(jwk(p256, { kid: 'bank-2026' }), { algorithm: 'ES256' });
    expect(read.kid).toBe('bank-2026');
  });

  const publicPem = createPublicKey(p256).export({ type: 'spki', format: 'pem' }).toString();
  const half = { ...rsa2048.export({ format: 'jwk' }), d: undefined };
  const encrypted = p256
    .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'open' })
    .toString();
  const stranger = { x: ec('P-256').export({ format: 'jwk' }).x };

  it.each([
    ['RSA below 2048 bits', pem(rsa(1024)), 'RS256', 'an RSA key of 1024 bits is too weak'],
    ['a small RSA exponent', pem(rsa(2048, 3)), 'RS256', 'exponent of the RSA key is too small'],
    [
      'a wrong curve',
      pem(ec('P-384')),
      'ES256',
      'ES256 does not sign with a key of this kind: ec secp384r1',
    ],
    ['another kind of key', pem(rsa2048), 'ES256', 'a key of this kind: rsa'],
    ['Ed448', pem(generateKeyPairSync('ed448').privateKey), 'EdDSA', 'a key of this kind: ed448'],
    ['a public key alone, PEM', publicPem, 'ES256', 'there is no private key in it'],
    ['a public key alone, JWK', JSON.stringify(half), 'RS256', 'there is no private key in it'],
    ['a set of keys', JSON.stringify({ keys: [half] }), 'RS256', 'give one key'],
    ['halves of two keys', jwk(p256, stranger), 'ES256', /do not belong together|can not be read/],
    ['a JWK for another algorithm', jwk(rsa2048, { alg: 'PS256' }), 'RS256', 'another algorithm'],
    ['a JWK for encryption', jwk(rsa2048, { use: 'enc' }), 'RS256', 'not for signatures'],
    ['a kid with a slash', jwk(rsa2048, { kid: '../a' }), 'RS256', 'the kid of the JWK'],
    ['an encrypted key without its passphrase', encrypted, 'ES256', 'give its passphrase'],
    ['nonsense', 'nonsense', 'RS256', 'it is not a private key for RS256 as PEM or JWK'],
    ['half a JSON', '{"kty":', 'RS256', 'it is not JSON'],
  ])('is refused when it is %s', async (...[, text, algorithm, reason]) => {
    const read = readKey(text, { algorithm: algorithm as SigningAlgorithm });
    await expect(read).rejects.toMatchObject({ code: 'signing_key_invalid' });
    await expect(read).rejects.toThrow(reason);
  });
});

it('What is published of a key has no private member', async () => {
  const { privateJwk } = await generateKey('RS256');
  expect(Object.keys(publicJwkOf(privateJwk)).sort()).toEqual(['e', 'kty', 'n']);
});
