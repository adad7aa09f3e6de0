import { generateKeyPairSync, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createMetrics } from '../../src/observability/metrics.ts';
import { rejectUnfitPublic } from '../../src/signing-keys/key-material.ts';
import { createRotation } from '../../src/signing-keys/rotation.ts';
import { createLocalSigner } from '../../src/signing-keys/signers/local-signer.ts';
import { adoptableKey } from '../../src/signing-keys/signers/pkcs11-adoption.ts';
import { ck } from '../../src/signing-keys/signers/pkcs11-mechanisms.ts';
import type { Attribute } from '../../src/signing-keys/signers/pkcs11-mechanisms.ts';
import type { KeptKey, WantedKey } from '../../src/signing-keys/signers/signer.ts';
import { createSigners } from '../../src/signing-keys/signers/signers.ts';

type Value = NonNullable<Attribute['value']>;
type Stored = Record<number, Value>;

const session = Buffer.alloc(8);

const bytesOf = (value: Value): Buffer => {
  if (Buffer.isBuffer(value)) return value;
  if (typeof value === 'string') return Buffer.from(value);
  if (typeof value === 'boolean') return Buffer.from([Number(value)]);
  const number = Buffer.alloc(8);
  number.writeUInt32LE(value);
  return number;
};

/** A token's objects, found and read as a PKCS #11 library does it. */
function tokenOf(objects: readonly Stored[]) {
  let found: number[] = [];
  return {
    C_FindObjectsInit(_session: Buffer, template: Attribute[]) {
      const isMeant = (object: Stored) =>
        template.every(({ type, value = '' }) => {
          const has = object[type];
          return has !== undefined && bytesOf(has).equals(bytesOf(value));
        });
      found = objects.flatMap((object, index) => (isMeant(object) ? [index] : []));
    },
    C_FindObjects: (_session: Buffer, most: number) =>
      found.slice(0, most).map((index) => Buffer.from([index])),
    C_FindObjectsFinal: () => undefined,
    C_GetAttributeValue: (_session: Buffer, handle: Buffer, wanted: Attribute[]) =>
      wanted.map(({ type }) => {
        const value = objects[handle[0] ?? 0]?.[type];
        if (value === undefined) throw new Error('CKR_ATTRIBUTE_TYPE_INVALID:18');
        return { type, value: bytesOf(value) };
      }),
  };
}

const kinds = {
  rsa: { [ck.keyType]: 0 },
  p256: { [ck.keyType]: 3, [ck.ecParams]: Buffer.from('06082a8648ce3d030107', 'hex') },
  p384: { [ck.keyType]: 3, [ck.ecParams]: Buffer.from('06052b81040022', 'hex') },
  ed25519: { [ck.keyType]: 0x40, [ck.ecParams]: Buffer.from('06032b6570', 'hex') },
} as const;

const rsa = (bits: number) =>
  generateKeyPairSync('rsa', { modulusLength: bits, publicExponent: 65_537 }).publicKey;

function rsaPair(key: KeyObject, { label = 'ceremony', id = '0a' } = {}): Stored[] {
  const { n = '', e = '' } = key.export({ format: 'jwk' });
  const names = { [ck.label]: label, [ck.id]: Buffer.from(id, 'hex'), [ck.token]: true };
  return [
    {
      ...{ [ck.class]: ck.privateKey, ...kinds.rsa, ...names },
      ...{ [ck.sensitive]: true, [ck.extractable]: false, [ck.local]: true },
      ...{ [ck.alwaysSensitive]: true, [ck.neverExtractable]: true },
    },
    {
      ...{ [ck.class]: ck.publicKey, ...kinds.rsa, ...names },
      [ck.modulus]: Buffer.from(n, 'base64url'),
      [ck.publicExponent]: Buffer.from(e, 'base64url'),
    },
  ];
}

const publicKey = rsa(2048);
const pair = rsaPair(publicKey);
const [privateHalf = {}, publicHalf = {}] = pair;
const wanted: WantedKey = { algorithm: 'PS256', label: 'ceremony' };

describe('A key that was made in the token by other means', () => {
  it.each([{ label: 'ceremony' }, { id: '0a' }, { label: 'ceremony', id: '0a' }])(
    'is found by %o',
    (names) => {
      const { n, e } = publicKey.export({ format: 'jwk' });
      const found = adoptableKey(tokenOf(pair), session, { algorithm: 'PS256', ...names });
      expect(found).toEqual({ publicJwk: { kty: 'RSA', n, e }, reference: '0a' });
    },
  );

  it.each<[string, readonly Stored[], string]>([
    ['is not there', [], 'there is no private key ceremony in the token'],
    ['has another label', rsaPair(publicKey, { label: 'other' }), 'there is no private key'],
    ['is one of several', [...pair, ...rsaPair(publicKey, { id: '0b' })], 'there are several'],
    [
      'shares its CKA_ID',
      [...pair, ...rsaPair(publicKey, { label: 'other' })],
      'there are several of the private key with the CKA_ID 0a',
    ],
    ['has no CKA_ID', rsaPair(publicKey, { id: '' }), 'has no CKA_ID'],
    ['has no public half', [privateHalf], 'there is no public key with the CKA_ID 0a'],
    ['is of another type', [privateHalf, { ...publicHalf, ...kinds.p256 }], 'PS256 does not sign'],
  ])('is refused where it %s', (_what, objects, reason) => {
    expect(() => adoptableKey(tokenOf(objects), session, wanted)).toThrow(reason);
  });

  it.each([
    ['is not kept secret', { [ck.sensitive]: false }, 'CKA_SENSITIVE is not true'],
    ['may be taken out', { [ck.extractable]: true }, 'CKA_EXTRACTABLE is not false'],
    ['was brought from elsewhere', { [ck.local]: false }, 'CKA_LOCAL is not true'],
    [
      'was not always kept secret',
      { [ck.alwaysSensitive]: false },
      'CKA_ALWAYS_SENSITIVE is not true',
    ],
    [
      'could be taken out once',
      { [ck.neverExtractable]: false },
      'CKA_NEVER_EXTRACTABLE is not true',
    ],
    ['is gone with the session', { [ck.token]: false }, 'CKA_TOKEN is not true'],
    [
      'may do several of that',
      { [ck.sensitive]: false, [ck.extractable]: true },
      'CKA_SENSITIVE is not true, CKA_EXTRACTABLE is not false',
    ],
    [
      'tells none of it with a whole byte',
      { [ck.sensitive]: Buffer.alloc(0) },
      'CKA_SENSITIVE is not true',
    ],
  ] as const)('is refused where its private half %s', (_what, changes: Stored, reason) => {
    const objects = [{ ...privateHalf, ...changes }, publicHalf];
    expect(() => adoptableKey(tokenOf(objects), session, wanted)).toThrow(
      `the private key ceremony is not the HSM’s alone, or may vanish from it: ${reason}`,
    );
  });

  it.each([
    [ck.sensitive, 'CKA_SENSITIVE is not true'],
    [ck.extractable, 'CKA_EXTRACTABLE is not false'],
    [ck.token, 'CKA_TOKEN is not true'],
    [ck.local, 'CKA_LOCAL is not true'],
    [ck.alwaysSensitive, 'CKA_ALWAYS_SENSITIVE is not true'],
    [ck.neverExtractable, 'CKA_NEVER_EXTRACTABLE is not true'],
  ])('is refused where the token does not tell the attribute %i', (type, reason) => {
    const silent = Object.fromEntries(
      Object.entries(privateHalf).filter(([name]) => name !== String(type)),
    );
    expect(() => adoptableKey(tokenOf([silent, publicHalf]), session, wanted)).toThrow(reason);
  });

  it.each([
    ['ES256', kinds.p384],
    ['ES256', kinds.ed25519],
    ['EdDSA', kinds.p256],
  ] as const)('is refused for %s on another curve', (algorithm, kind) => {
    const objects = [privateHalf, { ...publicHalf, ...kind, [ck.ecPoint]: Buffer.alloc(67, 4) }];
    expect(() => adoptableKey(tokenOf(objects), session, { ...wanted, algorithm })).toThrow(
      `${algorithm} does not sign with a key of the kind of ceremony`,
    );
  });

  it.each([
    ['RS256', () => rsa(1024).export({ format: 'jwk' }), 'too weak'],
    ['ES256', () => ({ kty: 'EC', crv: 'P-256', x: 'AQ', y: 'AQ' }), 'can not be read'],
    ['EdDSA', () => publicKey.export({ format: 'jwk' }), 'does not sign with a key of this kind'],
  ] as const)('is refused for %s with an unfit public half', (algorithm, jwk, detail) => {
    expect(() => {
      rejectUnfitPublic({ kty: '', ...jwk() }, algorithm);
    }).toThrow(
      expect.objectContaining({
        code: 'signing_key_invalid',
        detail: expect.stringContaining(detail) as string,
      }),
    );
  });
});

describe('Adopting a key', () => {
  const { privateKey: stranger } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { privateKey, publicKey: ownHalf } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const kept: KeptKey = {
    ...{ kid: 'kept', algorithm: 'ES256', signer: 'pkcs11', reference: '0a' },
    publicJwk: { kty: 'EC', ...ownHalf.export({ format: 'jwk' }) },
  };

  function signers(key: KeyObject, isConfigured = true) {
    const discarded: KeptKey[] = [];
    const pkcs11 = {
      ...createLocalSigner(),
      adopt: () => Promise.resolve(kept),
      open: () => (data: Uint8Array) =>
        Promise.resolve(sign('sha256', data, { key, dsaEncoding: 'ieee-p1363' })),
      discard: (one: KeptKey) => Promise.resolve(void discarded.push(one)),
    };
    const made = createSigners({
      signers: { sealed: createLocalSigner(), ...(isConfigured ? { pkcs11 } : {}) },
      chosen: 'sealed',
      limits: { concurrency: 2, maxWaiting: 2, timeoutMs: 1000 },
      metrics: createMetrics(),
    });
    return { ...made, discarded };
  }

  it('has it sign something that its public half verifies', async () => {
    expect(await signers(privateKey).adopt({ ...wanted, algorithm: 'ES256' })).toBe(kept);
    await expect(signers(stranger).adopt({ ...wanted, algorithm: 'ES256' })).rejects.toMatchObject({
      code: 'signing_key_invalid',
      detail: 'what kept signs does not verify by its public key',
    });
  });

  it('needs an HSM', async () => {
    await expect(signers(privateKey, false).adopt(wanted)).rejects.toMatchObject({
      code: 'signing_key_act_refused',
      detail: expect.stringContaining('set COUNTERSIGN_PKCS11_LIBRARY') as string,
    });
  });

  it('that another one forestalled leaves it in the token', async () => {
    const { discarded, ...rest } = signers(privateKey);
    const rotation = createRotation({
      store: { list: () => Promise.resolve([]), announce: () => Promise.resolve(false) } as never,
      processes: { live: () => Promise.resolve([]) },
      readers: { known: () => Promise.resolve([]) },
      signers: rest,
      clock: { now: () => new Date(0) },
      policy: { rotateSeconds: 0, announceSeconds: 0, readerWaitSeconds: 0, keepSeconds: 0 },
      record: () => undefined,
    });
    await expect(rotation.adopt({ ...wanted, algorithm: 'ES256' })).rejects.toMatchObject({
      detail: 'another key for ES256 came first',
    });
    expect(discarded).toEqual([]);
  });
});
