import { X509Certificate, createPrivateKey } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { loadConfiguration } from '../config/load.ts';
import type { Environment } from '../config/load.ts';
import type { Configuration } from '../config/schema.ts';
import { readStaticConfiguration } from '../config/static-file.ts';
import { Problem } from '../problem.ts';
import { readTruststore } from '../tls/truststore.ts';
import { Refusal, gatherMaterial, keyFilesOf } from './material.ts';
import { checkStaticConfiguration } from './static-configuration.ts';

type Check = (configuration: Configuration, clock: Clock) => Promise<void> | void;

/** Everything for which a server would not start, a sentence each; creates nothing and asks no database. */
export async function configurationProblems(
  environment: Environment,
  clock: Clock,
): Promise<readonly string[]> {
  const loaded = loadConfiguration(environment);
  if (!loaded.ok) return loaded.problems;
  const { configuration } = loaded;
  const found = await Promise.all(checks.map((check) => problemsOf(check, configuration, clock)));
  return [...new Set(found.flat())];
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
  const detail = 'COUNTERSIGN_TLS_PRIVATE_KEY does not belong to COUNTERSIGN_TLS_CERTIFICATE';
  throw new Problem('certificate_invalid', { detail });
};

/** OpenSSL's reasons say nothing of the text, so no key gets out by them. */
function read<T>(variable: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    throw new Problem('certificate_invalid', { detail: `${variable} can't be read as PEM`, cause });
  }
}

const truststore: Check = ({ clientTruststore }, clock) => {
  if (clientTruststore !== undefined) readTruststore(clientTruststore, clock);
};

const staticFile: Check = async ({ configurationFile, accessTokenTtlSeconds }) => {
  if (configurationFile === undefined) return;
  const declared = await readStaticConfiguration(configurationFile);
  await checkStaticConfiguration(declared, { accessTokenTtlSeconds });
};

const checks: readonly Check[] = [material, serverCertificate, truststore, staticFile];
