import { createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose';
import { Problem } from '../problem.ts';
import type { PrivateJwk, PublicJwk, SigningAlgorithm } from './key-ring.ts';

/** A private key and the name that it is published under. */
export interface KeyMaterial {
  kid: string;
  algorithm: SigningAlgorithm;
  privateJwk: PrivateJwk;
}

/** A new key; its kid is its thumbprint (RFC 7638) behind `kidPrefix`. RSA keys have 2048 bits. */
export async function generateKey(
  algorithm: SigningAlgorithm,
  kidPrefix = '',
): Promise<KeyMaterial> {
  const { privateKey } = await generateKeyPair(algorithm, {
    extractable: true,
    modulusLength: 2048,
  });
  const privateJwk = (await exportJWK(privateKey)) as PrivateJwk;
  const kid = kidPrefix + (await calculateJwkThumbprint(privateJwk));
  return { kid, algorithm, privateJwk };
}

/** RFC 7517 §4 and RFC 7518 §6: the members that everybody may see, which are named one by one. */
export function publicJwkOf(jwk: PrivateJwk | PublicJwk): PublicJwk {
  const members = ['kty', 'n', 'e', 'crv', 'x', 'y'] as const;
  const entries = members.flatMap((name) => (jwk[name] === undefined ? [] : [[name, jwk[name]]]));
  return Object.fromEntries(entries) as PublicJwk;
}

/** What a key must be to sign with each algorithm: RFC 7518 §3.3 to §3.5, RFC 8037 (Ed25519 alone). */
const kinds: Record<SigningAlgorithm, { type: string; curve?: string }> = {
  RS256: { type: 'rsa' },
  PS256: { type: 'rsa' },
  ES256: { type: 'ec', curve: 'prime256v1' },
  EdDSA: { type: 'ed25519' },
};

/**
 * A private key as PEM (PKCS #8, PKCS #1 or SEC 1, encrypted with `passphrase` or not) or as a JWK. Its kid is the JWK's
 * own, else the thumbprint (RFC 7638). Problem('signing_key_invalid') for everything that can't sign safely.
 */
export async function readKey(
  text: string,
  { algorithm, passphrase }: { algorithm: SigningAlgorithm; passphrase?: string | undefined },
): Promise<KeyMaterial> {
  const isJwk = text.trimStart().startsWith('{');
  const given = isJwk ? parseJwk(text) : undefined;
  const privateKey = given === undefined ? readPem(text, passphrase, algorithm) : fromJwk(given);
  return checkedKey(privateKey, { algorithm, kid: kidIn(given, algorithm) });
}

/** A private key object as material, checked. Problem('signing_key_invalid'). */
export async function checkedKey(
  privateKey: KeyObject,
  { algorithm, kid }: { algorithm: SigningAlgorithm; kid?: string | undefined },
): Promise<KeyMaterial> {
  rejectUnfit(privateKey, algorithm);
  const privateJwk = privateKey.export({ format: 'jwk' }) as PrivateJwk;
  rejectStrangers(privateKey, privateJwk);
  return { kid: kid ?? (await calculateJwkThumbprint(privateJwk)), algorithm, privateJwk };
}

/** A public key alone, of which somebody else keeps the private half. Problem('signing_key_invalid'). */
export function rejectUnfitPublic(publicJwk: PublicJwk, algorithm: SigningAlgorithm): void {
  rejectUnfit(publicKeyOf(publicJwk), algorithm);
}

function publicKeyOf(publicJwk: PublicJwk): KeyObject {
  try {
    return createPublicKey({ key: publicJwk, format: 'jwk' });
  } catch (cause) {
    throw new Problem('signing_key_invalid', { detail: 'its public key can not be read', cause });
  }
}

function rejectUnfit(key: KeyObject, algorithm: SigningAlgorithm): void {
  const { type, curve } = kinds[algorithm];
  const { namedCurve } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType !== type || (curve !== undefined && namedCurve !== curve)) {
    const found = [key.asymmetricKeyType, namedCurve].filter((word) => word !== undefined);
    throw refused(`${algorithm} does not sign with a key of this kind: ${found.join(' ')}`);
  }
  if (type === 'rsa') rejectWeakRsa(key);
}

function rejectWeakRsa(key: KeyObject): void {
  const { modulusLength = 0, publicExponent = 0n } = key.asymmetricKeyDetails ?? {};
  // RFC 7518 §3.3; FIPS 186-5 §5.4 for the exponent.
  if (modulusLength < 2048) {
    throw refused(`an RSA key of ${String(modulusLength)} bits is too weak: 2048 is the least`);
  }
  if (publicExponent < 65_537n || publicExponent % 2n === 0n) {
    throw refused('the public exponent of the RSA key is too small or even');
  }
}

/** A JWK may name the public half of another key, whose signatures nobody could verify. */
function rejectStrangers(privateKey: KeyObject, privateJwk: PrivateJwk): void {
  const data = Buffer.from('countersign');
  const digest = privateKey.asymmetricKeyType === 'ed25519' ? null : 'sha256';
  const publicKey = createPublicKey({ key: publicJwkOf(privateJwk), format: 'jwk' });
  if (verify(digest, data, publicKey, sign(digest, data, privateKey))) return;
  throw refused('the private and the public half of the key do not belong together');
}

function readPem(text: string, passphrase: string | undefined, algorithm: string): KeyObject {
  if (/-----BEGIN (?:RSA )?PUBLIC KEY-----/.test(text))
    throw refused('there is no private key in it');
  try {
    return createPrivateKey({ key: text, ...(passphrase !== undefined && { passphrase }) });
  } catch (cause) {
    const isEncrypted = passphrase === undefined && text.includes('ENCRYPTED');
    const detail = isEncrypted
      ? 'the private key is encrypted: give its passphrase'
      : `it is not a private key for ${algorithm} as PEM or JWK`;
    throw new Problem('signing_key_invalid', { detail, cause });
  }
}

function parseJwk(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch (cause) {
    throw new Problem('signing_key_invalid', { detail: 'it is not JSON', cause });
  }
}

function fromJwk(jwk: Record<string, unknown>): KeyObject {
  if (jwk['keys'] !== undefined) throw refused('it is a set of keys: give one key');
  if (jwk['d'] === undefined) throw refused('there is no private key in it');
  try {
    return createPrivateKey({ key: jwk, format: 'jwk' });
  } catch (cause) {
    throw new Problem('signing_key_invalid', { detail: 'the JWK can not be read', cause });
  }
}

/** What a JWK says of itself must be true, and what names it must be a name. */
function kidIn(jwk: Record<string, unknown> | undefined, algorithm: string): string | undefined {
  if (jwk === undefined) return undefined;
  if ((jwk['alg'] ?? algorithm) !== algorithm) {
    throw refused(`the JWK is for another algorithm than ${algorithm}`);
  }
  if ((jwk['use'] ?? 'sig') !== 'sig') throw refused('the JWK is not for signatures');
  const kid = jwk['kid'];
  if (kid === undefined) return undefined;
  if (typeof kid === 'string' && /^[\w-]{1,128}$/.test(kid)) return kid;
  throw refused('the kid of the JWK has other characters than letters, digits, _ and -');
}

function refused(detail: string): Problem {
  return new Problem('signing_key_invalid', { detail });
}
