import { readFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { Problem } from '../problem.ts';
import { declaredDirectory, withKeysBeside } from './directories.ts';
import type { DirectoryConfiguration } from './directories.ts';
import { hostList, origin } from './setting.ts';
import { declaredClient, declaredResourceServer } from './static-file.ts';
import type { StaticConfiguration } from './static-file.ts';

const port = z.int().min(1).max(65_535);
const short = z.string().trim().min(1).max(200);

/** PEM, here or in a file beside this one. */
const certificates = z
  .array(
    z.union([
      z.strictObject({ pem: z.string().regex(/-----BEGIN CERTIFICATE-----/) }),
      z.strictObject({ file: z.string().min(1) }),
    ]),
  )
  .min(1);

/** OpenID Connect Core §5.1. */
const claims = z.strictObject({
  name: short.optional(),
  given_name: short.optional(),
  family_name: short.optional(),
  birthdate: z.iso.date().optional(),
  locale: z
    .string()
    .regex(/^[\w-]{2,35}$/)
    .optional(),
  email: z.email().max(254).optional(),
  email_verified: z.boolean().optional(),
  phone_number: z
    .string()
    .regex(/^\+[1-9]\d{5,14}$/)
    .optional(),
  phone_number_verified: z.boolean().optional(),
  address: z.strictObject({ formatted: z.string().min(1).max(500) }).optional(),
});

const customer = z.strictObject({
  username: z.string().min(1).max(200),
  password: z.string().describe('12 characters or more, and none of the most common ones.'),
  claims: claims.default({}),
});

const client = declaredClient.omit({ clientSecretFile: true }).extend({
  clientSecret: z.string().min(32).max(200).optional().describe('Allowed in this file only.'),
});

const listening = z.strictObject({
  address: z.string().min(1).default('127.0.0.1').describe('`0.0.0.0` or `::` for all.'),
  port: port.optional().describe('The port of the issuer when it is not said.'),
  mtlsPort: port.optional().describe('The port of the mTLS origin when it is not said.'),
  operationsPort: port.optional().describe('Health and metrics.'),
});

const outgoing = z.strictObject({
  allow: z
    .array(z.string().refine((host) => hostList.safeParse(host).success, 'must be a host'))
    .default([])
    .describe('Hosts at private addresses that the server may reach.'),
  trustedAuthorities: certificates.optional().describe('Whose server certificates are trusted.'),
});

/** The file of `countersign serve --config`; docs/verification-file.schema.json is made from this. */
export const verificationFile = z
  .strictObject({
    $schema: z.string().optional(),
    issuer: origin.describe('The https origin for browsers and clients.'),
    mtlsOrigin: origin.describe('The https origin for clients with certificates.'),
    listen: listening.prefault({}),
    dataDirectory: z.string().min(1).optional().describe('Of the embedded database.'),
    keysDirectory: z.string().min(1).optional().describe('Of everything that is created.'),
    minimumProfile: z.enum(['baseline', 'fapi2', 'fapi2-message-signing']).optional(),
    dpopNonceRequired: z.boolean().optional(),
    defaultResource: z.url().optional().describe('For requests that name no resource.'),
    trustedAuthorities: certificates
      .optional()
      .describe('Whose client certificates are trusted; without it those of the development CA.'),
    outgoing: outgoing.prefault({}),
    resourceServers: z.array(declaredResourceServer).default([]),
    clients: z.array(client).default([]),
    customers: z.array(customer).default([]),
    directories: z.array(declaredDirectory).default([]),
  })
  .describe('Everything that a black-box test of the server needs (development only).');

type Content = z.infer<typeof verificationFile>;

/** A customer as the file declares one. */
export interface DeclaredCustomer {
  profile: { username: string } & z.infer<typeof claims>;
  password: string;
}

/** What a verification file decides. */
export interface Verification {
  /** Settings by the names of their environment variables. */
  environment: Readonly<Record<string, string>>;
  configuration: StaticConfiguration;
  /** By client id. */
  secrets: Readonly<Record<string, string>>;
  customers: readonly DeclaredCustomer[];
  directories: readonly DirectoryConfiguration[];
}

/** Reads and checks the file. Problem('configuration_invalid') names every fault of its form at once. */
export function readVerificationFile(file: string): Verification {
  const result = verificationFile.safeParse(readJson(file));
  if (!result.success) {
    const faults = result.error.issues.map(
      ({ path: at, message }) => `${at.join('.')}: ${message}`,
    );
    throw new Problem('configuration_invalid', { detail: `${file}: ${faults.join('; ')}` });
  }
  const { data } = result;
  const clients = data.clients.map(({ clientSecret: _secret, ...rest }) => rest);
  return {
    environment: environmentOf(data, path.dirname(path.resolve(file))),
    configuration: { resourceServers: data.resourceServers, clients },
    secrets: secretsOf(data),
    customers: data.customers.map(({ username, password, claims: own }) => ({
      profile: { username, ...own },
      password,
    })),
    directories: data.directories.map((entry) => withKeysBeside(file, entry)),
  };
}

function secretsOf({ clients }: Content): Record<string, string> {
  const secrets = clients.flatMap(({ metadata, clientSecret }) =>
    clientSecret === undefined ? [] : [[metadata.client_id, clientSecret] as const],
  );
  return Object.fromEntries(secrets);
}

function environmentOf(content: Content, folder: string): Record<string, string> {
  const { issuer, mtlsOrigin, listen, outgoing: out } = content;
  const values: Record<string, string | number | boolean | undefined> = {
    COUNTERSIGN_ISSUER: issuer,
    COUNTERSIGN_MTLS_ORIGIN: mtlsOrigin,
    COUNTERSIGN_LISTEN_ADDRESS: listen.address,
    COUNTERSIGN_PORT: listen.port ?? portOf(issuer),
    COUNTERSIGN_MTLS_PORT: listen.mtlsPort ?? portOf(mtlsOrigin),
    COUNTERSIGN_OPERATIONS_PORT: listen.operationsPort,
    COUNTERSIGN_DATA_DIRECTORY:
      content.dataDirectory && path.resolve(folder, content.dataDirectory),
    COUNTERSIGN_KEYS_DIRECTORY:
      content.keysDirectory && path.resolve(folder, content.keysDirectory),
    COUNTERSIGN_MINIMUM_PROFILE: content.minimumProfile,
    COUNTERSIGN_DPOP_NONCE_REQUIRED: content.dpopNonceRequired,
    COUNTERSIGN_DEFAULT_RESOURCE: content.defaultResource,
    COUNTERSIGN_CLIENT_TRUSTSTORE: pemOf(content.trustedAuthorities, folder),
    COUNTERSIGN_OUTBOUND_ALLOW: out.allow.length === 0 ? undefined : out.allow.join(','),
    COUNTERSIGN_OUTBOUND_TRUSTSTORE: pemOf(out.trustedAuthorities, folder),
  };
  const said = Object.entries(values).filter(([, value]) => value !== undefined);
  return Object.fromEntries(said.map(([name, value]) => [name, String(value)]));
}

function portOf(url: string): string {
  return new URL(url).port || '443';
}

function pemOf(
  sources: z.infer<typeof certificates> | undefined,
  folder: string,
): string | undefined {
  return sources
    ?.map((source) => ('pem' in source ? source.pem : textOf(path.resolve(folder, source.file))))
    .join('\n');
}

function readJson(file: string): unknown {
  const text = textOf(file);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Problem('configuration_invalid', { detail: `${file} is no JSON`, cause });
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new Problem('configuration_invalid', { detail: `${file} can't be read`, cause });
  }
}
