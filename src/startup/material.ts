import path from 'node:path';
import type { JWK } from 'jose';
import type { Directory } from '../clients/registration/directory.ts';
import type { Clock } from '../clock.ts';
import type { Configuration } from '../config/schema.ts';
import { productionProblems } from '../config/invariants.ts';
import { isDevelopmentCertificate } from '../development/certificate-authority.ts';
import { developmentMaterial, isDevelopmentSecret } from '../development/material.ts';
import type { DevelopmentMaterial } from '../development/material.ts';
import { createPrivateFiles } from '../development/private-files.ts';
import type { PrivateFiles } from '../development/private-files.ts';
import { createSandboxDirectory } from '../development/sandbox-directory.ts';
import { Problem } from '../problem.ts';
import { createKeyFiles } from '../signing-keys/key-files.ts';
import type { BroughtKey } from '../signing-keys/rotation.ts';
import { sandboxDirectories } from './sandbox.ts';

/** A private JWK with its `kid` and `alg`, and the stage that it is taken over in. */
export type BroughtJwk = JWK & { kid: string; alg: string; stage: BroughtKey['stage'] };

/** Keys, secrets and certificates: from the configuration, or in development created. */
export interface Material {
  /** Keys that were brought as files, for the ring to take over. */
  signingKeys: readonly BroughtJwk[];
  /** What wraps the keys of the ring. */
  masterKeys: readonly Buffer[];
  cookieKeys: readonly Buffer[];
  encryptionKeys: readonly Buffer[];
  digestKey: Buffer;
  /** What digests were made with before; they are recognised still. */
  olderDigestKeys?: readonly Buffer[];
  pairwiseSalt: Buffer;
  tlsCertificate: string;
  tlsPrivateKey: string;
  clientTruststore: string;
  /** Directories that no setting names: the sandbox's, or those of a verification file. */
  directories?: readonly Directory[];
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
  const { keys, unusable } = await readKeyFiles(configuration, clock);
  const refused = productionProblems(configuration, {
    unusableKeys: [...unusable, ...developmentKeys(keys)],
    isDevelopmentCertificate: isOfDevelopment,
    isDevelopmentSecret,
  });
  if (refused.length > 0) throw new Refusal(refused);
  return {
    signingKeys: privateJwks(keys),
    masterKeys: demanded(configuration.masterKeys),
    cookieKeys: demanded(configuration.cookieKeys),
    encryptionKeys: demanded(configuration.encryptionKeys),
    digestKey: first(configuration.digestKey),
    olderDigestKeys: configuration.digestKey?.slice(1) ?? [],
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
  const [brought] = await Promise.all([
    developmentKeyFiles(configuration, clock),
    createSandboxDirectory(files),
  ]);
  const key = (value: string) => [Buffer.from(value, 'base64url')];
  return {
    signingKeys: privateJwks(brought),
    masterKeys: configuration.masterKeys ?? key(secrets.masterKey),
    cookieKeys: configuration.cookieKeys ?? key(secrets.cookieKey),
    encryptionKeys: configuration.encryptionKeys ?? key(secrets.encryptionKey),
    digestKey: first(configuration.digestKey ?? key(secrets.digestKey)),
    olderDigestKeys: configuration.digestKey?.slice(1) ?? [],
    pairwiseSalt: first(configuration.pairwiseSalt ?? key(secrets.pairwiseSalt)),
    ...certificates(configuration, material),
    directories: sandboxDirectories(configuration, files),
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

/** Whether development made the key, on this machine or another. */
export function isDevelopmentKid(kid: string): boolean {
  return kid.startsWith(developmentKid);
}

/** Sentences for the keys of production that development made. */
export function developmentKeys(keys: readonly { kid: string }[]): string[] {
  return keys
    .filter(({ kid }) => isDevelopmentKid(kid))
    .map(({ kid }) => `the signing key ${kid} was created by development: remove it`);
}

/** Where the signing keys of this installation lie. */
export function keyFilesOf({ keysDirectory }: Configuration, clock: Clock) {
  return createKeyFiles(path.join(keysDirectory, 'signing'), clock);
}

/** RS256 for `baseline` clients; FAPI 2.0 clients choose between the others. */
const developmentAlgorithms = ['RS256', 'PS256', 'ES256'] as const;

async function developmentKeyFiles(
  configuration: Configuration,
  clock: Clock,
): Promise<readonly BroughtKey[]> {
  const files = keyFilesOf(configuration, clock);
  const existing = await files.list();
  if (existing.some(({ kid }) => !kid.startsWith(developmentKid))) return existing;
  const missing = developmentAlgorithms.filter(
    (algorithm) => !existing.some((key) => key.algorithm === algorithm),
  );
  const made = await Promise.all(
    missing.map((algorithm) => files.generate(algorithm, 'active', developmentKid)),
  );
  return [...existing, ...made];
}

async function readKeyFiles(configuration: Configuration, clock: Clock) {
  try {
    return { keys: await keyFilesOf(configuration, clock).list(), unusable: [] };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return { keys: [], unusable: [error.message] };
  }
}

function privateJwks(keys: readonly BroughtKey[]): BroughtJwk[] {
  return keys.map(({ privateJwk, kid, algorithm, stage }) => ({
    ...privateJwk,
    kid,
    alg: algorithm,
    stage,
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
