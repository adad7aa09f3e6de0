import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { checkedKey } from '../../src/signing-keys/key-material.ts';
import type { SigningAlgorithm } from '../../src/signing-keys/key-ring.ts';
import { readPkcs12 } from '../../src/signing-keys/pkcs12.ts';
import { createTestCertificates } from '../support/certificates.ts';
import { pkcs12File } from '../support/pkcs12.ts';

const password = 'correct horse';
const { certificatePem: certificate } = (await createTestCertificates()).server;
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
const ed25519 = generateKeyPairSync('ed25519').privateKey;

async function read(bytes: Uint8Array, algorithm: SigningAlgorithm, given = password) {
  return checkedKey(await readPkcs12(bytes, given), { algorithm });
}

describe('A PKCS #12 file', () => {
  it.each([
    ['RS256', rsa],
    ['PS256', rsa],
    ['ES256', p256],
    ['EdDSA', ed25519],
  ] as const)('may bring a key that %s signs with', async (algorithm, key) => {
    const { privateJwk } = await read(await pkcs12File([key], password), algorithm);
    expect(privateJwk).toMatchObject(key.export({ format: 'jwk' }));
  });

  it('opens with its password alone, and not when anything in it was changed', async () => {
    const file = await pkcs12File([p256], password);
    await expect(read(file, 'ES256', 'wrong')).rejects.toThrow('the MAC does not fit');
    await expect(read(file, 'ES256', '')).rejects.toThrow('the MAC does not fit');
    await expect(read(file, 'ES256', 'pässword')).rejects.toThrow('other characters than ASCII');
    for (const place of [120, Math.floor(file.length / 2), file.length - 20]) {
      const changed = Buffer.from(file);
      changed[place] = (changed[place] ?? 0) ^ 1;
      await expect(read(changed, 'ES256')).rejects.toMatchObject({ code: 'signing_key_invalid' });
    }
  });

  const { privateKey: weak } = generateKeyPairSync('rsa', { modulusLength: 1024 });
  const { privateKey: p384 } = generateKeyPairSync('ec', { namedCurve: 'P-384' });
  it.each([
    ['several keys', { keys: [rsa, p256], reason: 'there are 2 keys in it' }],
    ['a certificate alone', { keys: [certificate], reason: 'there is no private key in it' }],
    ['a weak RSA key', { keys: [weak], reason: 'an RSA key of 1024 bits is too weak' }],
    ['a key on another curve', { keys: [p384], reason: 'a key of this kind: ec secp384r1' }],
    ['a key of another kind', { keys: [ed25519], reason: 'a key of this kind: ed25519' }],
  ])('with %s is refused', async (_, { keys, reason }) => {
    const algorithm = keys[0] === p384 ? 'ES256' : 'RS256';
    await expect(read(await pkcs12File(keys, password), algorithm)).rejects.toThrow(reason);
  });

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['text', Buffer.from('-----BEGIN PRIVATE KEY-----')],
    ['another structure', rsa.export({ format: 'der', type: 'pkcs8' })],
  ])('that is %s is refused', async (_, bytes) => {
    await expect(read(bytes, 'RS256')).rejects.toMatchObject({
      code: 'signing_key_invalid',
      detail: 'it is not a PKCS #12 file',
    });
  });
});
