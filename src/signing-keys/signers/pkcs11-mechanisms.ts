import { createHash } from 'node:crypto';
import type { PublicJwk, SigningAlgorithm } from '../key-ring.ts';

/** PKCS #11 v3.0 (OASIS), names and numbers as in its header files. */
export const ck = {
  serialSession: 0x4,
  readWriteSession: 0x2,
  user: 1,
  publicKey: 2,
  privateKey: 3,
  class: 0x0,
  token: 0x1,
  private: 0x2,
  label: 0x3,
  keyType: 0x100,
  id: 0x102,
  sensitive: 0x103,
  sign: 0x108,
  verify: 0x10a,
  modulus: 0x120,
  modulusBits: 0x121,
  publicExponent: 0x122,
  extractable: 0x162,
  local: 0x163,
  neverExtractable: 0x164,
  alwaysSensitive: 0x165,
  ecParams: 0x180,
  ecPoint: 0x181,
} as const;

/** An attribute of an object in the token. */
export interface Attribute {
  type: number;
  value?: Buffer | boolean | number | string;
}

/** What an operation goes by. */
export interface Mechanism {
  mechanism: number;
  parameter: object | null;
}

interface KeyKind {
  /** CKK_…, and the names that its curve goes by (CKA_EC_PARAMS, hex). */
  keyType: number;
  curves?: readonly string[];
  generation: Mechanism;
  /** What the public half is made by. */
  template: Attribute[];
  /** What is read of the public half, and made a JWK. */
  published: number[];
  jwk: (values: Buffer[]) => PublicJwk;
}

interface Signing {
  kind: KeyKind;
  mechanism: (pssParameters: number) => Mechanism;
  /** What the token gets to sign. */
  input: (data: Buffer) => Buffer;
}

const plain = (mechanism: number): Mechanism => ({ mechanism, parameter: null });
const asIs = (data: Buffer): Buffer => data;
const url = (bytes: Buffer | undefined): string => (bytes ?? Buffer.alloc(0)).toString('base64url');

const rsa: KeyKind = {
  keyType: 0x0,
  generation: plain(0x0),
  template: [
    { type: ck.modulusBits, value: 2048 },
    { type: ck.publicExponent, value: Buffer.from([1, 0, 1]) },
  ],
  published: [ck.modulus, ck.publicExponent],
  jwk: ([modulus, exponent]) => ({ kty: 'RSA', n: url(modulus), e: url(exponent) }),
};

/** The object identifier of prime256v1. */
const p256Parameters = '06082a8648ce3d030107';

const p256: KeyKind = {
  keyType: 0x3,
  curves: [p256Parameters],
  generation: plain(0x1040),
  template: [{ type: ck.ecParams, value: Buffer.from(p256Parameters, 'hex') }],
  published: [ck.ecPoint],
  jwk([point = Buffer.alloc(0)]) {
    const coordinates = point.subarray(-64);
    return {
      ...{ kty: 'EC', crv: 'P-256' },
      x: url(coordinates.subarray(0, 32)),
      y: url(coordinates.subarray(32)),
    };
  },
};

/** The object identifier of Ed25519 (RFC 8410 §3), and what PKCS #11 v3.0 §2.3.10 calls the curve: a printable string. */
const ed25519Parameters = '06032b6570';
const edwards25519 = `130c${Buffer.from('edwards25519').toString('hex')}`;

const ed25519: KeyKind = {
  keyType: 0x40,
  curves: [ed25519Parameters, edwards25519],
  generation: plain(0x1055),
  template: [{ type: ck.ecParams, value: Buffer.from(ed25519Parameters, 'hex') }],
  published: [ck.ecPoint],
  // Some tokens wrap the point as an octet string, others don't: its end is the same.
  jwk: ([point]) => ({ kty: 'OKP', crv: 'Ed25519', x: url(point?.subarray(-32)) }),
};

const sha256 = 0x250;
const mgf1Sha256 = 0x2;

/** How a token makes keys for each algorithm, and signs (PKCS #11 Mechanisms v3.0 §2.1, §2.3). */
export const mechanisms: Record<SigningAlgorithm, Signing> = {
  RS256: { kind: rsa, mechanism: () => plain(0x40), input: asIs },
  PS256: {
    kind: rsa,
    mechanism: (type) => ({
      mechanism: 0x43,
      parameter: { type, hashAlg: sha256, mgf: mgf1Sha256, saltLen: 32 },
    }),
    input: asIs,
  },
  ES256: {
    kind: p256,
    mechanism: () => plain(0x1041),
    input: (data) => createHash('sha256').update(data).digest(),
  },
  EdDSA: { kind: ed25519, mechanism: () => plain(0x1057), input: asIs },
};
