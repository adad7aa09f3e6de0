import path from 'node:path';
import { z } from 'zod';
import { Problem } from '../problem.ts';
import { readJsonFile } from './json-file.ts';

const claimName = z.string().min(1).max(100);
const httpsUrl = z.url({ protocol: /^https$/ });
const scopes = z.array(z.string().regex(/^[\x21\x23-\x5B\x5D-\x7E]{1,100}$/)).min(1);

const keys = z.union([
  z.strictObject({ url: httpsUrl }),
  z.strictObject({ file: z.string().min(1) }),
]);

/** The names that the UK directory and those on the same software use. */
const claims = z.strictObject({
  softwareId: claimName.default('software_id'),
  softwareVersion: claimName.default('software_version'),
  clientName: claimName.default('software_client_name'),
  redirectUris: claimName.default('software_redirect_uris'),
  roles: claimName.default('software_roles'),
  jwksUri: claimName.default('software_jwks_uri'),
  jwks: claimName.default('software_jwks'),
  organisationId: claimName.default('org_id'),
});

const certificateRule = z.strictObject({
  attribute: z.enum(['UID', 'CN', 'OU', 'O', 'serialNumber', 'organizationIdentifier']),
  claim: claimName,
  prefix: z.string().max(100).default(''),
});

/** One directory as files declare it. */
export const declaredDirectory = z.strictObject({
  issuer: z.string().min(1).max(500),
  keys,
  algorithms: z.array(z.enum(['RS256', 'PS256', 'ES256', 'EdDSA', 'Ed25519'])).min(1),
  maxAgeSeconds: z.int().min(1).max(31_536_000),
  audience: z.string().min(1).optional(),
  body: z.enum(['json', 'jwt', 'either']).default('json'),
  claims: claims.prefault({}),
  claimValues: z.record(claimName, z.array(z.string()).min(1)).default({}),
  roles: z.record(z.string().min(1), z.record(z.url(), scopes)),
  rolesFrom: z.enum(['statement', 'certificate', 'both']).default('statement'),
  certificate: z.array(certificateRule).min(1),
  onePerSoftware: z.boolean().default(true),
  profile: z.enum(['baseline', 'fapi2', 'fapi2-message-signing']).default('fapi2'),
  identityScopes: z.array(z.enum(['profile', 'email', 'phone', 'address'])).default([]),
  keysByValue: z.boolean().default(false),
  localRedirectUris: z.boolean().default(false),
});

const directories = z
  .strictObject({ directories: z.array(declaredDirectory).min(1) })
  .refine(
    ({ directories: all }) => new Set(all.map(({ issuer }) => issuer)).size === all.length,
    'an issuer is named twice',
  );

/** Issuers of software statements that are trusted, and what they may vouch for. */
export type DirectoryConfiguration = z.infer<typeof declaredDirectory>;

/**
 * Reads and checks the directories' file; files of keys are found beside it. Problem('configuration_invalid') names
 * every fault at once.
 */
export function readDirectories(file: string): DirectoryConfiguration[] {
  const result = directories.safeParse(readJsonFile(file));
  if (!result.success) {
    const faults = result.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
    throw new Problem('configuration_invalid', { detail: `${file}: ${faults.join('; ')}` });
  }
  return result.data.directories.map((entry) => withKeysBeside(file, entry));
}

/** The directory with its file of keys found beside the file that declares it. */
export function withKeysBeside(file: string, entry: DirectoryConfiguration) {
  if (!('file' in entry.keys)) return entry;
  return { ...entry, keys: { file: path.resolve(path.dirname(file), entry.keys.file) } };
}
