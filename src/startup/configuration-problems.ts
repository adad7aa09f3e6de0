import { X509Certificate, createPrivateKey } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { loadConfiguration } from '../config/load.ts';
import type { Environment } from '../config/load.ts';
import type { Configuration } from '../config/schema.ts';
import { readStaticConfiguration } from '../config/static-file.ts';
import { Problem } from '../problem.ts';
import { readTruststore } from '../tls/truststore.ts';
import { edgeSettings } from './edge-settings.ts';
import { geoipSettings } from './geoip-settings.ts';
import { Refusal, gatherMaterial, keyFilesOf } from './material.ts';
import { certificateProblems } from './named-certificates.ts';
import { proxyProblems } from './proxy-problems.ts';
import { rateLimitSettings } from './rate-limit-settings.ts';
import { registrationSettings } from './registration-settings.ts';
import { signerProblems } from './signers.ts';
import { checkStaticConfiguration } from './static-configuration.ts';

type Check = (configuration: Configuration, clock: Clock) => Promise<void> | void;

/** Everything for which a server would not start, a sentence each; creates nothing and asks no database. */
export async function configurationProblems(
  environment: Environment,
  clock: Clock,
): Promise<readonly string[]> {
  const loaded = loadConfiguration(environment);
  const unreadable = loaded.ok ? [] : loaded.problems;
  const configuration = loaded.ok ? loaded.configuration : loaded.readable;
  const found = await Promise.all(checks.map((check) => problemsOf(check, configuration, clock)));
  const told = new Set(unreadable.map(variableOf));
  // A setting that can't be read is not missing as well.
  const further = found.flat().filter((problem) => !told.has(variableOf(problem)));
  return [...new Set([...unreadable, ...further])];
}

/** Problems begin with the variable that they are about. */
function variableOf(problem: string): string {
  return problem
    .split(' ', 1)
    .join('')
    .replace(/_FILE$/, '');
}

async function problemsOf(
  check: Check,
  configuration: Configuration,
  clock: Clock,
): Promise<readonly string[]> {
  try {
    await check(configuration, clock);
    return [];
  } catch (error) {
    if (error instanceof Refusal) return error.problems;
    if (error instanceof Problem) return [error.message];
    throw error;
  }
}

/** Production gathers without creating; development creates when it starts, so only what is there is looked at. */
const material: Check = async (configuration, clock) => {
  if (configuration.environment === 'production') await gatherMaterial(configuration, clock);
  else await keyFilesOf(configuration, clock).list();
};

const serverCertificate: Check = ({ tlsCertificate, tlsPrivateKey }) => {
  if (tlsCertificate === undefined || tlsPrivateKey === undefined) return;
  const certificate = read(
    'COUNTERSIGN_TLS_CERTIFICATE',
    () => new X509Certificate(tlsCertificate),
  );
  const privateKey = read('COUNTERSIGN_TLS_PRIVATE_KEY', () => createPrivateKey(tlsPrivateKey));
  if (certificate.checkPrivateKey(privateKey)) return;
  throw new Refusal([
    'COUNTERSIGN_TLS_PRIVATE_KEY does not belong to COUNTERSIGN_TLS_CERTIFICATE: give the key of that certificate',
  ]);
};

/** OpenSSL's reasons say nothing of the text, so no key gets out by them. */
function read<T>(variable: string, parse: () => T): T {
  try {
    return parse();
  } catch {
    throw new Refusal([`${variable} can't be read: give it as PEM`]);
  }
}

const truststore: Check = ({ clientTruststore }, clock) => {
  if (clientTruststore === undefined) return;
  try {
    readTruststore(clientTruststore, clock);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    throw new Refusal([`COUNTERSIGN_CLIENT_TRUSTSTORE: ${error.detail ?? error.message}`]);
  }
};

const furtherCertificates: Check = (configuration) => {
  const problems = certificateProblems(configuration);
  if (problems.length > 0) throw new Refusal(problems);
};

const proxies: Check = (configuration, clock) => {
  const problems = proxyProblems(configuration, clock);
  if (problems.length > 0) throw new Refusal(problems);
};

const signers: Check = (configuration) => {
  const problems = signerProblems(configuration);
  if (problems.length > 0) throw new Refusal(problems);
};

const staticFile: Check = async (configuration) => {
  const { configurationFile, accessTokenTtlSeconds, minimumProfile } = configuration;
  if (configurationFile === undefined) return;
  const declared = readStaticConfiguration(configurationFile);
  await checkStaticConfiguration(declared, { accessTokenTtlSeconds, minimumProfile });
};

const registration: Check = (configuration) => {
  registrationSettings(configuration);
};

const rateLimits: Check = (configuration) => {
  rateLimitSettings(configuration);
};

const edge: Check = (configuration) => {
  edgeSettings(configuration);
};

const geoip: Check = (configuration) => {
  geoipSettings(configuration);
};

const checks: readonly Check[] = [
  edge,
  geoip,
  rateLimits,
  registration,
  material,
  serverCertificate,
  truststore,
  furtherCertificates,
  staticFile,
  proxies,
  signers,
];
