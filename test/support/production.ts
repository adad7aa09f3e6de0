import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { systemClock } from '../../src/clock.ts';
import { createKeyFiles } from '../../src/signing-keys/key-files.ts';
import { createTestCertificates, serverCertificate } from './certificates.ts';
import type { TestCertificates } from './certificates.ts';
import { testDatabase } from './database.ts';
import { freePort } from './free-port.ts';
import { startProgram } from './program.ts';
import { temporaryDirectory } from './temporary-directory.ts';

/** Environment variables; an undefined one is taken away. */
export type Environment = Record<string, string | undefined>;

/** What an installation in production has. */
export interface Production {
  directory: string;
  certificates: TestCertificates;
  /** A configuration in which nothing is missing. */
  safe: Record<string, string>;
  /** Starts with the safe configuration, changed, and gives back what a refused start prints. */
  refusal(changes: Environment, base?: Environment): Promise<Refused>;
  close(): Promise<void>;
}

/** A start that ended by itself. */
export interface Refused {
  code: number | null;
  output: string;
  title: string | undefined;
  problems: string[];
}

/** A new secret as the settings want it. */
export const newKey = (): string => randomBytes(32).toString('base64url');

/** Everything that production needs, with an empty database and a signing key to take over. */
export async function production(): Promise<Production> {
  const directory = await temporaryDirectory();
  const database = await testDatabase('template0');
  const certificates = await createTestCertificates();
  const safe = await safeSettings(directory.path, certificates, database.connectionString);
  return {
    directory: directory.path,
    certificates,
    safe,
    async refusal(changes, base = safe) {
      const environment = Object.fromEntries(
        Object.entries({ ...base, ...changes }).filter(([, value]) => value !== undefined),
      ) as Record<string, string>;
      const program = startProgram({ environment });
      const { code } = await program.ended;
      const [title, ...problems] = program.stderr().trimEnd().split('\n');
      return { code, output: program.stdout(), title, problems };
    },
    async close() {
      await database.close();
      await directory.remove();
    },
  };
}

async function safeSettings(
  directory: string,
  { authority }: TestCertificates,
  databaseUrl: string,
): Promise<Record<string, string>> {
  const hosts = ['auth.bank.test', 'mtls.bank.test'] as const;
  const server = await serverCertificate(authority, [...hosts]);
  const files = createKeyFiles(path.join(directory, 'keys', 'signing'), systemClock);
  await files.generate('RS256', 'active');
  const [port, mtlsPort, operationsPort] = await Promise.all([freePort(), freePort(), freePort()]);
  return {
    COUNTERSIGN_ENV: 'production',
    COUNTERSIGN_ISSUER: 'https://auth.bank.test',
    COUNTERSIGN_MTLS_ORIGIN: 'https://mtls.bank.test',
    COUNTERSIGN_PORT: String(port),
    COUNTERSIGN_MTLS_PORT: String(mtlsPort),
    COUNTERSIGN_OPERATIONS_PORT: String(operationsPort),
    COUNTERSIGN_COOKIE_KEYS: newKey(),
    COUNTERSIGN_ENCRYPTION_KEYS: `${newKey()},${newKey()}`,
    COUNTERSIGN_DIGEST_KEY: newKey(),
    COUNTERSIGN_MASTER_KEYS: newKey(),
    COUNTERSIGN_PAIRWISE_SALT: newKey(),
    COUNTERSIGN_TLS_CERTIFICATE: server.certificatePem,
    COUNTERSIGN_TLS_PRIVATE_KEY: server.privateKeyPem,
    COUNTERSIGN_CLIENT_TRUSTSTORE: authority.certificatePem,
    COUNTERSIGN_KEYS_DIRECTORY: path.join(directory, 'keys'),
    COUNTERSIGN_DATA_DIRECTORY: path.join(directory, 'data'),
    DATABASE_URL: databaseUrl,
  };
}
