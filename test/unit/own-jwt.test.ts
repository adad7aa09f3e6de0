import { generateKeyPairSync } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { SignJWT } from 'jose';
import type { JSONWebKeySet, JWK } from 'jose';
import { describe, expect, it } from 'vitest';
import { createOwnJwtReader } from '../../src/provider/tokens/own-jwt.ts';

const now = 1_800_000_000;
const clock = { now: () => new Date(now * 1000) };
const issuer = 'https://as.example';

const pairs: Record<string, { privateKey: KeyObject; publicKey: KeyObject }> = {
  RS256: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  PS256: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  EdDSA: generateKeyPairSync('ed25519'),
};

const publicKeys = {
  keys: Object.entries(pairs).map(
    ([alg, { publicKey }]) =>
      ({ ...publicKey.export({ format: 'jwk' }), kid: `key-${alg}`, alg }) as JWK & { kty: string },
  ),
} satisfies JSONWebKeySet;

const read = createOwnJwtReader({ issuer, publicKeys, clock });

const claims = { iss: issuer, iat: now, exp: now + 60, jti: 'j', aud: 'x', client_id: 'web' };

function sign(
  payload: object,
  header: object = {},
  { alg, key = pairs[alg]?.privateKey }: { alg: string; key?: KeyObject } = { alg: 'RS256' },
): Promise<string> {
  if (key === undefined) throw new Error(`no key for ${alg}`);
  return new SignJWT({ ...payload })
    .setProtectedHeader({ alg, kid: `key-${alg}`, typ: 'at+jwt', ...header })
    .sign(key);
}

describe('An access token of ours', () => {
  it.each(Object.keys(pairs))('is read when %s signed it', async (alg) => {
    expect(read(await sign(claims, {}, { alg }))).toEqual(claims);
  });

  it.each([
    ['another issuer', { iss: 'https://other.example' }],
    ['its last second over', { exp: now }],
    ['no end', { exp: undefined }],
    ['an end that is no number', { exp: String(now + 60) }],
    ['no beginning', { iat: undefined }],
    ['a time to wait for', { nbf: now + 1 }],
    ['a time to wait for that is no number', { nbf: '1' }],
  ])('with %s is none', async (_what, change) => {
    expect(read(await sign({ ...claims, ...change }))).toBeUndefined();
  });

  it.each([
    ['another type', { typ: 'JWT' }],
    ['an unknown key', { kid: 'key-none' }],
    ['the key of another algorithm', { kid: 'key-PS256' }],
    ['no key named', { kid: undefined }],
  ])('with %s is none', async (_what, header) => {
    expect(read(await sign(claims, header))).toBeUndefined();
  });

  it('of another signer is none, though it names our key', async () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    expect(read(await sign(claims, {}, { alg: 'RS256', key: privateKey }))).toBeUndefined();
  });

  it('whose header names another algorithm of the same key is none', async () => {
    const key = pairs['RS256']?.privateKey;
    if (key === undefined) throw new Error('no key');
    const signed = await sign(claims, { kid: 'key-RS256' }, { alg: 'PS256', key });
    expect(read(signed)).toBeUndefined();
  });

  it('that is changed, cut, lengthened or demands something of us is none', async () => {
    const jwt = await sign(claims);
    const [header = '', payload = '', signature = ''] = jwt.split('.');
    const other = Buffer.from(JSON.stringify({ ...claims, jti: 'k' })).toString('base64url');
    const critical = { alg: 'RS256', kid: 'key-RS256', typ: 'at+jwt', crit: ['b64'], b64: true };
    const demanding = Buffer.from(JSON.stringify(critical)).toString('base64url');
    const forged = [
      `${header}.${other}.${signature}`,
      `${header}.${payload}.${signature.slice(0, -4)}`,
      `${header}.${payload}.`,
      `${header}.${payload}`,
      `${jwt}.${signature}`,
      `${demanding}.${payload}.${signature}`,
      `.${payload}.${signature}`,
      '..',
      '',
    ];
    expect(forged.filter((one) => read(one) !== undefined)).toEqual([]);
    expect(read(jwt)).toEqual(claims);
  });
});
