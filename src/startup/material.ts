import path from 'node:path';
import type { JWK } from 'jose';
import type { Clock } from '../clock.ts';
import type { Configuration } from '../config/schema.ts';
import { productionProblems } from '../config/invariants.ts';
import { isDevelopmentCertificate } from '../development/certificate-authority.ts';
import { developmentMaterial, isDevelopmentSecret } from '../development/material.ts';
import type { DevelopmentMaterial } from '../development/material.ts';
import { createPrivateFiles } from '../development/private-files.ts';
import type { PrivateFiles } from '../development/private-files.ts';
import { Problem } from '../problem.ts';
import { createKeyFiles } from '../signing-keys/key-files.ts';
import { keyRingProblems, orderForSigning } from '../signing-keys/key-ring.ts';
import type { SigningKey } from '../signing-keys/key-ring.ts';

/** Keys, secrets and certificates: from the configuration, or in development created. */
export interface Material {
  signingKeys: readonly JWK[];
  cookieKeys: readonly Buffer[];
  encryptionKeys: readonly Buffer[];
  digestKey: Buffer;
  pairwiseSalt: Buffer;
  tlsCertificate: string;
  tlsPrivateKey: string;
  clientTruststore: string;
  /** What development created, and the folder that it lies in. */
  development?: { material: DevelopmentMaterial; files: PrivateFiles };
}

/** A start that is refused, with every reason and its remedy. */
export class Refusal extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.name = 'Refusal';
    this.problems = problems;
  }
}

/** Gathers the material. Throws a {@link Refusal} that names everything that is missing or unsafe. */
export async function gatherMaterial(
  configuration: Configuration,
  clock: Clock,
): Promise<Material> {
  return configuration.environment === 'production'
    ? productionMaterial(configuration, clock)
    : createdMaterial(configuration, clock);
}

async function productionMaterial(configuration: Configuration, clock: Clock): Promise<Material> {
  const { keys, unusable } = await readKeyRing(configuration, clock);
  const refused = productionProblems(configuration, {
    // What is in a file that can't be used is not known: it may be all that is needed.
    keyRing: unusable.length > 0 ? [] : keyRingProblems(keys),
    unusableKeys: [...unusable, ...developmentKeys(keys)],
    isDevelopmentCertificate: isOfDevelopment,
    isDevelopmentSecret,
  });
  if (refused.length > 0) throw new Refusal(refused);
  return {
    signingKeys: privateJwks(keys),
    cookieKeys: demanded(configuration.cookieKeys),
    encryptionKeys: demanded(configuration.encryptionKeys),
    digestKey: first(configuration.digestKey),
    pairwiseSalt: first(configuration.pairwiseSalt),
    tlsCertificate: demanded(configuration.tlsCertificate),
    tlsPrivateKey: demanded(configuration.tlsPrivateKey),
    clientTruststore: demanded(configuration.clientTruststore),
  };
}

/** What can't be read at all is told by `configurationProblems`. */
function isOfDevelopment(pem: string): boolean {
  try {
    return isDevelopmentCertificate(pem);
  } catch (error) {
    if (error instanceof Problem) return false;
    throw error;
  }
}

async function createdMaterial(configuration: Configuration, clock: Clock): Promise<Material> {
  const files = createPrivateFiles(configuration.keysDirectory);
  const hosts = [configuration.issuer, configuration.mtlsOrigin].map(
    (url) => new URL(url).hostname,
  );
  const hostnames: [string, ...string[]] = ['localhost', '127.0.0.1', '::1', ...hosts];
  const unique = [...new Set(hostnames)] as [string, ...string[]];
  const material = await developmentMaterial(files, { hostnames: unique, clock });
  const { secrets } = material;
  const key = (value: string) => [Buffer.from(value, 'base64url')];
  return {
    signingKeys: privateJwks(await developmentKeyRing(configuration, clock)),
    cookieKeys: configuration.cookieKeys ?? key(secrets.cookieKey),
    encryptionKeys: configuration.encryptionKeys ?? key(secrets.encryptionKey),
    digestKey: first(configuration.digestKey ?? key(secrets.digestKey)),
    pairwiseSalt: first(configuration.pairwiseSalt ?? key(secrets.pairwiseSalt)),
    ...certificates(configuration, material),
    development: { material, files },
  };
}

function certificates(configuration: Configuration, { server, authority }: DevelopmentMaterial) {
  return {
    tlsCertificate: configuration.tlsCertificate ?? server.certificatePem,
    tlsPrivateKey: configuration.tlsPrivateKey ?? server.privateKeyPem,
    clientTruststore: configuration.clientTruststore ?? authority.certificatePem,
  };
}

/** What the kid of a key that development made begins with, so that production knows one wherever it turns up. */
const developmentKid = 'development-';

function developmentKeys(keys: readonly SigningKey[]): string[] {
  return keys
    .filter(({ kid }) => kid.startsWith(developmentKid))
    .map(({ kid }) => `the signing key ${kid} was created by development: remove its file`);
}

/** Where the signing keys of this installation lie. */
export function keyFilesOf({ keysDirectory }: Configuration, clock: Clock) {
  return createKeyFiles(path.join(keysDirectory, 'signing'), clock);
}

async function developmentKeyRing(
  configuration: Configuration,
  clock: Clock,
): Promise<readonly SigningKey[]> {
  const files = keyFilesOf(configuration, clock);
  const existing = await files.list();
  if (existing.length > 0) return existing;
  return [await files.generate('RS256', 'active', developmentKid)];
}

async function readKeyRing(configuration: Configuration, clock: Clock) {
  try {
    return { keys: await keyFilesOf(configuration, clock).list(), unusable: [] };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return { keys: [], unusable: [error.message] };
  }
}

/** In signing order; what is announced or retired is published, and verifies only (RFC 7517 §4.3). */
function privateJwks(keys: readonly SigningKey[]): JWK[] {
  return orderForSigning(keys).map(({ privateJwk, kid, algorithm, stage }) => ({
    ...privateJwk,
    kid,
    alg: algorithm,
    use: 'sig',
    key_ops: stage === 'active' ? ['sign', 'verify'] : ['verify'],
  }));
}

/** The invariants have been checked by now; this is the compiler's proof of it. */
function demanded<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('a setting is missing that the invariants demand');
  return value;
}

function first(keys: readonly Buffer[] | undefined): Buffer {
  return demanded(keys?.[0]);
}
