import { createPrivateKey, generateKeyPair } from 'node:crypto';
import { promisify } from 'node:util';
import { calculateJwkThumbprint, importJWK, SignJWT } from 'jose';
import type { JWK } from 'jose';
import type { Clock } from '../clock.ts';
import { epochSeconds } from '../clock.ts';
import { randomSecret } from '../security/secrets.ts';
import type { PrivateFiles } from './private-files.ts';
import { sampleResource } from './sample-data.ts';

/** Security profiles that the sandbox's software may be registered with, each by an issuer of its own. */
export const sandboxProfiles = ['baseline', 'fapi2', 'fapi2-message-signing'] as const;
export type SandboxProfile = (typeof sandboxProfiles)[number];

/** What software of the sandbox may be, and which scopes of the sample resource server that permits. */
export const sandboxRoles = {
  AISP: { psp: 'PSP_AI', scopes: ['accounts'] },
  PISP: { psp: 'PSP_PI', scopes: ['payments'] },
  CBPII: { psp: 'PSP_IC', scopes: ['fundsconfirmations'] },
} as const;
export type SandboxRole = keyof typeof sandboxRoles;

/** What every issuer of the sandbox begins with, so that production knows one wherever it turns up. */
const issuerMark = 'https://development-directory.test/';

/** `iss` of the statements for software of a profile. */
export function sandboxIssuer(profile: SandboxProfile): string {
  return issuerMark + profile;
}

/** Whether a directory is one that development created, on this machine or another. */
export function isSandboxIssuer(issuer: string): boolean {
  return issuer.startsWith(issuerMark);
}

/** How long a statement may be used. */
const statementAgeSeconds = 3600;

const folder = 'sandbox/directory';
const keyFile = `${folder}/key.json`;
const keySetFile = `${folder}/jwks.json`;
/** The directories as the setting COUNTERSIGN_DIRECTORIES names them, below the keys' folder. */
export const sandboxDirectoriesFile = `${folder}/directories.json`;

/** The test directory: its key, its key set and the directories' file, created when they are missing. */
export async function createSandboxDirectory(files: PrivateFiles): Promise<void> {
  const key = readKey(files.read(keyFile) ?? files.writeOnce(keyFile, await newKey()));
  const { kty, kid, alg, use, n, e } = key;
  keep(files, keySetFile, { keys: [{ kty, kid, alg, use, n, e }] });
  keep(files, sandboxDirectoriesFile, { directories: sandboxProfiles.map(entryOf) });
}

/** Signs a software statement by the directory of a profile. The directory must have been created. */
export async function issueStatement(
  files: PrivateFiles,
  claims: Readonly<Record<string, unknown>>,
  { profile, clock }: { profile: SandboxProfile; clock: Clock },
): Promise<string> {
  const key = readKey(files.read(keyFile) ?? '');
  return new SignJWT({ ...claims })
    .setProtectedHeader({ alg: key.alg, kid: key.kid, typ: 'JWT' })
    .setIssuer(sandboxIssuer(profile))
    .setIssuedAt(epochSeconds(clock))
    .setExpirationTime(epochSeconds(clock) + statementAgeSeconds)
    .setJti(randomSecret(16))
    .sign(await importJWK(key));
}

/** A private key with the names that production refuses. */
export async function sandboxKey(privateKeyPem: string): Promise<JWK & { kid: string }> {
  const jwk = createPrivateKey(privateKeyPem).export({ format: 'jwk' });
  const kid = `development-${await calculateJwkThumbprint(jwk)}`;
  return { ...jwk, kid, alg: 'PS256', use: 'sig' };
}

async function newKey(): Promise<string> {
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: 2048 });
  return textOf(await sandboxKey(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()));
}

function readKey(text: string): JWK & { kid: string; alg: string } {
  return JSON.parse(text) as JWK & { kid: string; alg: string };
}

function entryOf(profile: SandboxProfile) {
  return {
    issuer: sandboxIssuer(profile),
    keys: { file: 'jwks.json' },
    algorithms: ['PS256'],
    maxAgeSeconds: statementAgeSeconds,
    body: 'either',
    roles: permissionsByRole(),
    rolesFrom: 'both',
    certificate: [
      { attribute: 'CN', claim: 'software_id' },
      { attribute: 'organizationIdentifier', claim: 'org_id' },
    ],
    onePerSoftware: false,
    profile,
    keysByValue: true,
    localRedirectUris: true,
  };
}

/** By the names of statements and of certificates. */
function permissionsByRole(): Record<string, Record<string, readonly string[]>> {
  const roles = Object.entries(sandboxRoles).flatMap(([role, { psp, scopes }]) =>
    [role, psp].map((name) => [name, { [sampleResource]: scopes }] as const),
  );
  return Object.fromEntries(roles);
}

/** Writes only what is not there yet: a version of ours that knows more has another text. */
function keep(files: PrivateFiles, name: string, content: unknown): void {
  const text = textOf(content);
  if (files.read(name) !== text) files.replace(name, text);
}

function textOf(content: unknown): string {
  return `${JSON.stringify(content, null, 2)}\n`;
}
