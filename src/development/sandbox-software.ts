import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import type { JWK } from 'jose';
import type { Clock } from '../clock.ts';
import { issueClientCertificate } from './certificate-authority.ts';
import type { IssuedCertificate } from './certificate-authority.ts';
import type { PrivateFiles } from './private-files.ts';
import { psd2Extension } from './psd2-extension.ts';
import { sampleResource } from './sample-data.ts';
import { issueStatement, sandboxKey, sandboxRoles } from './sandbox-directory.ts';
import type { SandboxProfile, SandboxRole } from './sandbox-directory.ts';

/** A third party's software in the sandbox, as `software.json` of its folder keeps it. */
export interface SandboxSoftware {
  name: string;
  softwareId: string;
  organisationId: string;
  roles: readonly SandboxRole[];
  profile: SandboxProfile;
  redirectUris: readonly string[];
  /** The authorization server that it is made for. */
  issuer: string;
  /** The resource server that its roles permit to use, and the scopes there. */
  resource: string;
  scopes: readonly string[];
}

/** What a new software is asked for. */
export type NewSoftware = Pick<
  SandboxSoftware,
  'name' | 'roles' | 'profile' | 'redirectUris' | 'issuer'
>;

interface Ground {
  files: PrivateFiles;
  authority: IssuedCertificate;
  clock: Clock;
}

/** Names of the files in a software's folder. */
export const sandboxFiles = {
  certificate: 'transport.crt',
  key: 'transport.key',
  signingCertificate: 'signing.crt',
  signingKey: 'signing.json',
  keySet: 'jwks.json',
  software: 'software.json',
  statement: 'statement.jwt',
  registration: 'registration.json',
  /** What the server answered to it; whoever registers writes it. */
  registered: 'registered.json',
} as const;

/** Names that can stand in a path, a command and a subject. */
export const sandboxNamePattern = /^[a-z][a-z\d-]{0,39}$/;

const reserved = 'directory';

/** Where the files of a software lie, below the keys' folder. */
export function sandboxPath(name: string, file: keyof typeof sandboxFiles): string {
  return `sandbox/${name}/${sandboxFiles[file]}`;
}

/** The software of that name; undefined when there is none. */
export function findSoftware(files: PrivateFiles, name: string): SandboxSoftware | undefined {
  if (!sandboxNamePattern.test(name) || name === reserved) return undefined;
  const text = files.read(sandboxPath(name, 'software'));
  return text === undefined ? undefined : (JSON.parse(text) as SandboxSoftware);
}

/** All of it, by name. */
export function listSoftware(files: PrivateFiles): SandboxSoftware[] {
  return namesIn(files.pathOf('sandbox')).flatMap((name) => findSoftware(files, name) ?? []);
}

/**
 * Makes a third party: the development authority signs a transport and a signing certificate, and the directory issues a
 * software statement. Undefined when the name is taken.
 */
export async function createSoftware(
  wanted: NewSoftware,
  ground: Ground,
): Promise<SandboxSoftware | undefined> {
  const { files } = ground;
  if (wanted.name === reserved || findSoftware(files, wanted.name) !== undefined) return undefined;
  const software: SandboxSoftware = {
    ...wanted,
    softwareId: randomBytes(11).toString('hex'),
    organisationId: `PSDGB-SANDBOX-${randomBytes(3).toString('hex').toUpperCase()}`,
    resource: sampleResource,
    scopes: [...new Set(wanted.roles.flatMap((role) => sandboxRoles[role].scopes))],
  };
  const transport = await transportCertificate(software, ground);
  const signing = await signingCertificate(software, ground);
  const write = (file: keyof typeof sandboxFiles, text: string) => {
    files.replace(sandboxPath(wanted.name, file), text);
  };
  write('key', transport.privateKeyPem);
  write('certificate', transport.certificatePem);
  const key = await sandboxKey(signing.privateKeyPem);
  write('signingKey', textOf(key));
  write('signingCertificate', signing.certificatePem);
  write('keySet', textOf({ keys: [publicPart(key)] }));
  write('software', textOf(software));
  await renewStatement(software, ground);
  return software;
}

/** Issues a fresh statement, and writes the request that registers with it. */
export async function renewStatement(
  { name, softwareId, organisationId, roles, profile, redirectUris }: SandboxSoftware,
  { files, clock }: Pick<Ground, 'files' | 'clock'>,
): Promise<string> {
  const jwks: unknown = JSON.parse(files.read(sandboxPath(name, 'keySet')) ?? '');
  const claims = {
    software_id: softwareId,
    software_client_name: name,
    software_redirect_uris: redirectUris,
    software_roles: roles,
    software_jwks: jwks,
    org_id: organisationId,
    org_name: organisationOf(name),
  };
  const statement = await issueStatement(files, claims, { profile, clock });
  const registration = {
    software_statement: statement,
    redirect_uris: redirectUris,
    grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
    token_endpoint_auth_method: 'tls_client_auth',
    jwks,
  };
  files.replace(sandboxPath(name, 'statement'), `${statement}\n`);
  files.replace(sandboxPath(name, 'registration'), textOf(registration));
  return statement;
}

function transportCertificate(software: SandboxSoftware, { authority, clock }: Ground) {
  const roles = software.roles.map((role) => sandboxRoles[role].psp);
  const psd2 = { roles, ncaName: 'Countersign Sandbox', ncaId: 'GB-SANDBOX' };
  const extensions = [psd2Extension(psd2)];
  return issueClientCertificate(authority, { subject: subjectOf(software), clock, extensions });
}

/** Good for signatures only: without a purpose in TLS no connection takes it. */
function signingCertificate(software: SandboxSoftware, { authority, clock }: Ground) {
  return issueClientCertificate(authority, {
    subject: subjectOf(software),
    clock,
    keyType: 'rsa',
    extendedKeyUsage: [documentSigning],
  });
}

/** RFC 9336. */
const documentSigning = '1.3.6.1.5.5.7.3.36';

function subjectOf({ name, softwareId, organisationId }: SandboxSoftware): string {
  return `CN=${softwareId},2.5.4.97=${organisationId},O=${organisationOf(name)},C=GB`;
}

function organisationOf(name: string): string {
  return `Sandbox ${name}`;
}

function publicPart({ kty, kid, alg, use, n, e }: JWK): JWK {
  return { kty, kid, alg, use, n, e } as JWK;
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory).toSorted();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}

function textOf(content: unknown): string {
  return `${JSON.stringify(content, null, 2)}\n`;
}
