import type { Environment } from '../config/load.ts';
import type { Configuration } from '../config/schema.ts';
import type { StaticConfiguration } from '../config/static-file.ts';
import { readVerificationFile } from '../config/verification-file.ts';
import type { Verification } from '../config/verification-file.ts';
import { loadCommonPasswords } from '../customers/common-passwords.ts';
import { checkNewPassword, checkUsername, normaliseUsername } from '../customers/customer.ts';
import { Problem } from '../problem.ts';
import { Refusal } from './material.ts';
import { checkStaticConfiguration } from './static-configuration.ts';

/**
 * Reads the file of `serve --config`, and gives it back with the environment that it adds to. Throws a {@link Refusal} in
 * production, where both decide the same, and for a file that can't be read.
 */
export function readVerification(
  file: string,
  environment: Environment,
): { verification: Verification; environment: Environment } {
  if (isProduction(environment)) {
    throw new Refusal([
      '--config is for development: production takes its settings from the environment and its clients from COUNTERSIGN_CONFIGURATION',
    ]);
  }
  const verification = readOrRefuse(file);
  const twice = [...Object.keys(verification.environment), ...excluded].filter(
    (name) => environment[name] !== undefined || environment[`${name}_FILE`] !== undefined,
  );
  if (twice.length > 0) {
    throw new Refusal(
      twice.map((name) => `${name} is set, and ${file} decides about it: unset the variable`),
    );
  }
  return { verification, environment: { ...environment, ...verification.environment } };
}

function readOrRefuse(file: string): Verification {
  try {
    return readVerificationFile(file);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    throw new Refusal([error.detail ?? error.message]);
  }
}

/** Settings whose place the file takes. */
const excluded = ['COUNTERSIGN_CONFIGURATION', 'COUNTERSIGN_DIRECTORIES'];

function isProduction(environment: Environment): boolean {
  const { COUNTERSIGN_ENV: own, NODE_ENV: node } = environment;
  return (own ?? node) === 'production';
}

/** Everything about clients, resource servers and customers that would not be taken, a sentence each. */
export async function verificationProblems(
  { configuration, secrets, customers }: Verification,
  { accessTokenTtlSeconds, minimumProfile }: Configuration,
): Promise<string[]> {
  const { clients, resourceServers } = configuration;
  const parts = [
    ...clients.map((client) => ({ clients: [client], resourceServers: [] })),
    ...resourceServers.map((one) => ({ clients: [], resourceServers: [one] })),
  ];
  const check = { accessTokenTtlSeconds, minimumProfile, secrets };
  const found = await Promise.all(parts.map((part) => faultOf(part, check)));
  const isCommon = await loadCommonPasswords();
  return [
    ...found.flat(),
    ...repeated(
      clients.map(({ metadata }) => metadata.client_id),
      'client',
    ),
    ...repeated(
      resourceServers.map(({ identifier }) => identifier),
      'resource server',
    ),
    ...repeated(
      customers.map(({ profile }) => normaliseUsername(profile.username)),
      'customer',
    ),
    ...clients.flatMap((client) => permissionFaults(client, resourceServers)),
    ...customers.flatMap((customer) => customerFaults(customer, isCommon)),
  ];
}

async function faultOf(
  part: StaticConfiguration,
  check: Parameters<typeof checkStaticConfiguration>[1],
): Promise<string[]> {
  const [client] = part.clients;
  const name = client?.metadata.client_id ?? part.resourceServers[0]?.identifier ?? '';
  try {
    await checkStaticConfiguration(part, check);
    return [];
  } catch (error) {
    if (error instanceof Problem) return [`${name}: ${error.detail ?? error.message}`];
    throw error;
  }
}

function repeated(names: readonly string[], what: string): string[] {
  const twice = names.filter((name, index) => names.indexOf(name) !== index);
  return [...new Set(twice)].map((name) => `the ${what} ${name} is declared twice`);
}

function permissionFaults(
  { metadata, permissions }: StaticConfiguration['clients'][number],
  resourceServers: StaticConfiguration['resourceServers'],
): string[] {
  return Object.entries(permissions).flatMap(([resource, scopes]) => {
    const server = resourceServers.find(({ identifier }) => identifier === resource);
    if (server === undefined) {
      return [`${metadata.client_id}: there is no resource server ${resource}`];
    }
    return scopes
      .filter((scope) => !Object.hasOwn(server.scopes, scope))
      .map((scope) => `${metadata.client_id}: ${resource} has no scope ${scope}`);
  });
}

function customerFaults(
  { profile: { username }, password }: Verification['customers'][number],
  isCommon: (candidate: string) => boolean,
): string[] {
  try {
    checkUsername(username);
    checkNewPassword(password, { username, isCommon });
    return [];
  } catch (error) {
    if (error instanceof Problem) return [`customer ${username}: ${error.message}`];
    throw error;
  }
}
