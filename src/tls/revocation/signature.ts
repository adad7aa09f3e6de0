import { constants, verify, type KeyObject, type VerifyKeyObjectInput } from 'node:crypto';
import * as pkijs from 'pkijs';
import { Problem } from '../../problem.ts';
import { decodeObjectIdentifier, derChildren, derTag, readDer } from '../der.ts';

/** Bytes and what somebody signed them with, as X.509 structures carry it. */
export interface SignedBytes {
  /** DER of the AlgorithmIdentifier. */
  readonly algorithm: Buffer;
  readonly data: Buffer;
  /** Content of the BIT STRING without the octet that counts unused bits. */
  readonly signature: Buffer;
}

/**
 * Whether `key` made the signature; off the main thread, because a revocation list has megabytes. RSA (PKCS #1 1.5 and
 * PSS), ECDSA and Ed25519 with SHA-256, 384 or 512; false for every other algorithm, SHA-1 among them.
 */
export async function verifySignature(key: KeyObject, signed: SignedBytes): Promise<boolean> {
  const scheme = schemeOf(signed.algorithm);
  if (scheme === undefined || !scheme.keyTypes.includes(key.asymmetricKeyType ?? '')) return false;
  return new Promise((resolve, reject) => {
    const { digest, options } = scheme;
    verify(digest, signed.data, { key, ...options }, signed.signature, (error, isValid) => {
      if (error === null) resolve(isValid);
      else reject(new Problem('certificate_invalid', { detail: error.message, cause: error }));
    });
  });
}

interface Scheme {
  readonly digest: string | null;
  readonly keyTypes: readonly string[];
  readonly options?: Pick<VerifyKeyObjectInput, 'padding' | 'saltLength'>;
}

const rsa = ['rsa'];
const schemes: Readonly<Partial<Record<string, Scheme>>> = {
  '1.2.840.113549.1.1.11': { digest: 'sha256', keyTypes: rsa },
  '1.2.840.113549.1.1.12': { digest: 'sha384', keyTypes: rsa },
  '1.2.840.113549.1.1.13': { digest: 'sha512', keyTypes: rsa },
  '1.2.840.10045.4.3.2': { digest: 'sha256', keyTypes: ['ec'] },
  '1.2.840.10045.4.3.3': { digest: 'sha384', keyTypes: ['ec'] },
  '1.2.840.10045.4.3.4': { digest: 'sha512', keyTypes: ['ec'] },
  '1.3.101.112': { digest: null, keyTypes: ['ed25519'] },
};

const pssId = '1.2.840.113549.1.1.10';
const mgf1Id = '1.2.840.113549.1.1.8';
const digests: Readonly<Partial<Record<string, string>>> = {
  '2.16.840.1.101.3.4.2.1': 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
};

function schemeOf(algorithm: Buffer): Scheme | undefined {
  const [type, parameters] = derChildren(readDer(algorithm), derTag.sequence);
  if (type?.tag !== derTag.objectIdentifier) return undefined;
  const id = decodeObjectIdentifier(type.content);
  if (id !== pssId) return schemes[id];
  return parameters === undefined ? undefined : pssScheme(parameters.raw);
}

/** RFC 4055 §3.1; the mask is made with the same digest, which Node can't be told otherwise. */
function pssScheme(der: Buffer): Scheme | undefined {
  const parameters = pkijs.RSASSAPSSParams.fromBER(der);
  const digest = digests[parameters.hashAlgorithm.algorithmId];
  if (digest === undefined || parameters.maskGenAlgorithm.algorithmId !== mgf1Id) return undefined;
  const maskDigest = maskDigestOf(parameters);
  if (maskDigest !== digest) return undefined;
  const { RSA_PKCS1_PSS_PADDING: padding } = constants;
  const options = { padding, saltLength: parameters.saltLength };
  return { digest, keyTypes: ['rsa', 'rsa-pss'], options };
}

function maskDigestOf({ maskGenAlgorithm }: pkijs.RSASSAPSSParams): string | undefined {
  const parameters: unknown = maskGenAlgorithm.algorithmParams;
  const identifier = new pkijs.AlgorithmIdentifier({ schema: parameters });
  return digests[identifier.algorithmId];
}
