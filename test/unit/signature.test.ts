import { constants, generateKeyPairSync, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { objectIdentifier } from '../../src/development/certificate-builder.ts';
import { derTag, writeDer } from '../../src/tls/der.ts';
import { verifySignature } from '../../src/tls/revocation/signature.ts';

const data = Buffer.from('what was signed');
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const ed = generateKeyPairSync('ed25519');

const algorithm = (id: string, ...parameters: Buffer[]) =>
  writeDer(derTag.sequence, objectIdentifier(id), ...parameters);

const digestIds = {
  sha1: '1.3.14.3.2.26',
  sha256: '2.16.840.1.101.3.4.2.1',
  sha512: '2.16.840.1.101.3.4.2.3',
};
const number = (value: number) => writeDer(derTag.integer, Buffer.from([value]));

function pss(digest: keyof typeof digestIds, mask = digest): Buffer {
  const [hash, inner] = [algorithm(digestIds[digest]), algorithm(digestIds[mask])];
  const parameters = writeDer(
    derTag.sequence,
    writeDer(0xa0, hash),
    writeDer(0xa1, algorithm('1.2.840.113549.1.1.8', inner)),
    writeDer(0xa2, number(32)),
  );
  return algorithm('1.2.840.113549.1.1.10', parameters);
}

const padding = constants.RSA_PKCS1_PSS_PADDING;
const rsaSha256 = algorithm('1.2.840.113549.1.1.11');

describe('A signature', () => {
  it.each<[string, KeyObject, [algorithm: Buffer, signature: Buffer]]>([
    ['RSA', rsa.publicKey, [rsaSha256, sign('sha256', data, rsa.privateKey)]],
    [
      'RSA with SHA-512',
      rsa.publicKey,
      [algorithm('1.2.840.113549.1.1.13'), sign('sha512', data, rsa.privateKey)],
    ],
    [
      'RSA-PSS',
      rsa.publicKey,
      [pss('sha256'), sign('sha256', data, { key: rsa.privateKey, padding, saltLength: 32 })],
    ],
    [
      'ECDSA',
      ec.publicKey,
      [algorithm('1.2.840.10045.4.3.2'), sign('sha256', data, ec.privateKey)],
    ],
    ['Ed25519', ed.publicKey, [algorithm('1.3.101.112'), sign(null, data, ed.privateKey)]],
  ])('by %s is verified, and not for other bytes', async (_, key, [named, signature]) => {
    const signed = { algorithm: named, data, signature };
    expect(await verifySignature(key, signed)).toBe(true);
    const other = Buffer.from('what was not');
    expect(await verifySignature(key, { ...signed, data: other })).toBe(false);
  });

  it.each<[string, KeyObject, [algorithm: Buffer, signature: Buffer]]>([
    [
      'RSA with SHA-1',
      rsa.publicKey,
      [algorithm('1.2.840.113549.1.1.5'), sign('sha1', data, rsa.privateKey)],
    ],
    [
      'ECDSA with SHA-1',
      ec.publicKey,
      [algorithm('1.2.840.10045.4.1'), sign('sha1', data, ec.privateKey)],
    ],
    [
      'RSA-PSS with SHA-1',
      rsa.publicKey,
      [pss('sha1'), sign('sha1', data, { key: rsa.privateKey, padding, saltLength: 32 })],
    ],
    [
      'RSA-PSS with two digests',
      rsa.publicKey,
      [
        pss('sha256', 'sha512'),
        sign('sha256', data, { key: rsa.privateKey, padding, saltLength: 32 }),
      ],
    ],
    ['a key of another kind', ec.publicKey, [rsaSha256, sign('sha256', data, ec.privateKey)]],
    [
      'an unknown algorithm',
      ec.publicKey,
      [algorithm('1.2.3'), sign('sha256', data, ec.privateKey)],
    ],
  ])('by %s is not', async (_, key, [named, signature]) => {
    expect(await verifySignature(key, { algorithm: named, data, signature })).toBe(false);
  });
});
