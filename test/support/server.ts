import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { Agent, buildConnector, fetch as undiciFetch } from 'undici';
import { systemClock } from '../../src/clock.ts';
import type { Clock } from '../../src/clock.ts';
import type { App } from '../../src/app.ts';
import type { DevelopmentRoutes } from '../../src/assembly/settings.ts';
import { loadConfiguration } from '../../src/config/load.ts';
import type { Configuration } from '../../src/config/schema.ts';
import { parseStaticConfiguration } from '../../src/config/static-file.ts';
import { addCustomer } from '../../src/customers/add-customer.ts';
import type { IssuedCertificate } from '../../src/development/certificate-authority.ts';
import { createMetrics } from '../../src/observability/metrics.ts';
import { createKeyFiles } from '../../src/signing-keys/key-files.ts';
import type { SigningAlgorithm } from '../../src/signing-keys/key-ring.ts';
import type { CertificateTexts } from '../../src/startup/served-certificates.ts';
import { startServer } from '../../src/startup/server.ts';
import type { RunningServer } from '../../src/startup/server.ts';
import type { Material } from '../../src/startup/material.ts';
import { applyStaticConfiguration } from '../../src/startup/static-configuration.ts';
import { clientCertificate, createTestCertificates } from './certificates.ts';
import type { TestCertificates } from './certificates.ts';
import { freePort } from './free-port.ts';
import { testDatabase } from './database.ts';
import type { TestDatabase } from './database.ts';
import { recordingLogger } from './recording-logger.ts';
import type { RecordingLogger } from './recording-logger.ts';
import { temporaryDirectory } from './temporary-directory.ts';

/** The resource server of most tests: JWT access tokens. */
export const accountsApi = 'https://accounts.example.com';
/** The resource server that wants opaque access tokens. */
export const opaqueApi = 'https://opaque.example.com';
/** The subject of {@link AuthorizationServer.tpp}. */
export const tppSubject = 'CN=tpp-1,O=Example TPP\\, Ltd,C=GB';

/** The message of the cause when no request was sent, because a connection was not taken or its handshake not ended. */
export const noConnection = 'no connection';

/** What a test may vary. */
export interface ServerOptions {
  clock?: Clock;
  /** Environment variables as the README names them. */
  environment?: Record<string, string>;
  /** Further clients and resource servers, in the shape of the static configuration file. */
  clients?: Record<string, unknown>[];
  resourceServers?: Record<string, unknown>[];
  /** Algorithms with an active signing key besides RS256. */
  algorithms?: readonly SigningAlgorithm[];
  /** Algorithms with a key that is published but does not sign any more. */
  retiredAlgorithms?: readonly SigningAlgorithm[];
  /** What the files of certificates hold when they are read again. */
  certificates?: () => CertificateTexts;
  /** What the file of the key service's access token holds when it is read again. */
  signerToken?: () => string;
  /** Routes that exist in development only. */
  developmentRoutes?: DevelopmentRoutes;
  /** Another server's data and keys: for several processes on one database. */
  beside?: AuthorizationServer;
}

/** The assembled server on ports of its own, with a database of its own, over real TLS. */
export interface AuthorizationServer {
  issuer: string;
  mtlsOrigin: string;
  operationsOrigin: string;
  certificates: TestCertificates;
  /** The certificate of the client "tpp". */
  tpp: IssuedCertificate;
  customer: { id: string; username: string; password: string };
  /** Secrets of "web" and of the resource servers' clients "accounts-rs" and "opaque-rs". */
  secrets: Readonly<Record<'web' | 'accounts-rs' | 'opaque-rs', string>>;
  /** `fetch` that trusts the test CA and presents `certificate`; redirects are not followed. */
  fetch(certificate?: IssuedCertificate): typeof fetch;
  log: RecordingLogger;
  database: TestDatabase;
  running: RunningServer;
  material: Material;
  stop(): Promise<void>;
}

const sentences = { en: 'See your accounts', de: 'Ihre Konten sehen' };

const resourceServers = [
  {
    identifier: accountsApi,
    name: 'Accounts API',
    introspectionClientId: 'accounts-rs',
    scopes: {
      accounts: sentences,
      payments: { en: 'Start payments' },
      admin: { en: 'Do everything' },
    },
  },
  {
    identifier: opaqueApi,
    name: 'Opaque API',
    accessTokenFormat: 'opaque',
    introspectionClientId: 'opaque-rs',
    scopes: { statements: { en: 'See your statements' } },
  },
];

const allGrants = ['authorization_code', 'refresh_token', 'client_credentials'];

/** "tpp" with a certificate, "app" public and native, "web" with a secret, and the resource servers' own clients. */
const clients = [
  {
    metadata: {
      client_id: 'tpp',
      client_name: 'Example TPP',
      redirect_uris: ['https://tpp.example.com/callback'],
      post_logout_redirect_uris: ['https://tpp.example.com/logged-out'],
      grant_types: allGrants,
      token_endpoint_auth_method: 'tls_client_auth',
      tls_client_auth_subject_dn: tppSubject,
    },
    permissions: { [accountsApi]: ['accounts', 'payments'], [opaqueApi]: ['statements'] },
  },
  {
    metadata: {
      client_id: 'app',
      client_name: 'Example App',
      application_type: 'native',
      redirect_uris: ['http://127.0.0.1/callback', 'com.example.app:/callback'],
      grant_types: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_method: 'none',
    },
    permissions: { [accountsApi]: ['accounts'] },
  },
  {
    metadata: {
      client_id: 'web',
      client_name: 'Example Web',
      redirect_uris: ['https://web.example.com/callback', 'https://web.example.com/other'],
      post_logout_redirect_uris: ['https://web.example.com/logged-out'],
      grant_types: allGrants,
      token_endpoint_auth_method: 'client_secret_basic',
    },
    permissions: { [accountsApi]: ['accounts'], [opaqueApi]: ['statements'] },
  },
  ...['accounts-rs', 'opaque-rs'].map((id) => ({
    metadata: { client_id: id, grant_types: [], token_endpoint_auth_method: 'client_secret_basic' },
  })),
];

/** Starts the assembled authorization server. */
export async function startAuthorizationServer(
  options: ServerOptions = {},
): Promise<AuthorizationServer> {
  const { clock = systemClock, beside } = options;
  const foundation = beside ?? (await newFoundation(options));
  const { certificates, database, material, customer, secrets } = foundation;
  const configuration = await configurationOf(foundation, options);
  const log = recordingLogger();
  const running = await startServer(configuration, () => Promise.resolve(material), {
    logger: log.logger,
    metrics: createMetrics(),
    clock,
    developmentRoutes: options.developmentRoutes ?? (() => undefined),
    ...(options.certificates === undefined ? {} : { rereadCertificates: options.certificates }),
    ...(options.signerToken === undefined ? {} : { rereadSignerToken: options.signerToken }),
    prepare: (app) => (beside === undefined ? fill(app, foundation, options) : Promise.resolve()),
  });
  const fetches = createFetches(configuration, certificates, running);
  return {
    issuer: configuration.issuer,
    mtlsOrigin: configuration.mtlsOrigin,
    operationsOrigin: `http://127.0.0.1:${String(running.ports.operations)}`,
    certificates,
    tpp: await clientCertificate(certificates.authority, { subject: tppSubject }),
    customer,
    secrets,
    log,
    database,
    running,
    material,
    fetch: (certificate) => fetches.fetch(certificate),
    async stop() {
      await fetches.close();
      await running.stop();
      if (beside === undefined) await database.close();
    },
  };
}

/** What two servers beside each other share. */
type Foundation = Pick<
  AuthorizationServer,
  'certificates' | 'database' | 'material' | 'customer' | 'secrets'
> &
  Partial<Pick<AuthorizationServer, 'issuer' | 'mtlsOrigin'>>;

async function newFoundation(options: ServerOptions): Promise<Foundation> {
  const certificates = await createTestCertificates();
  return {
    certificates,
    database: await testDatabase(),
    material: await testMaterial(certificates, options),
    customer: { id: '', username: 'casey', password: newSecret() },
    secrets: { web: newSecret(), 'accounts-rs': newSecret(), 'opaque-rs': newSecret() },
  };
}

async function configurationOf(
  { issuer, mtlsOrigin, database }: Foundation,
  { environment }: ServerOptions,
): Promise<Configuration> {
  const [port, mtlsPort] = [await freePort(), await freePort()];
  const loaded = loadConfiguration({
    COUNTERSIGN_ISSUER: issuer ?? `https://localhost:${String(port)}`,
    COUNTERSIGN_MTLS_ORIGIN: mtlsOrigin ?? `https://localhost:${String(mtlsPort)}`,
    COUNTERSIGN_PORT: String(port),
    COUNTERSIGN_MTLS_PORT: String(mtlsPort),
    COUNTERSIGN_OPERATIONS_PORT: '0',
    COUNTERSIGN_ARGON2_MEMORY: '7168', // the least allowed: these tests are not about the cost
    COUNTERSIGN_ARGON2_PASSES: '1',
    COUNTERSIGN_DEFAULT_RESOURCE: accountsApi,
    DATABASE_URL: database.connectionString,
    ...environment,
  });
  if (!loaded.ok) throw new Error(loaded.problems.join('\n'));
  return loaded.configuration;
}

/** Clients, resource servers and the customer. */
async function fill(
  app: App,
  { customer, secrets }: Foundation,
  options: ServerOptions,
): Promise<void> {
  const declared = parseStaticConfiguration(
    {
      resourceServers: [...resourceServers, ...(options.resourceServers ?? [])],
      clients: [...clients, ...(options.clients ?? [])],
    },
    'test',
  );
  await applyStaticConfiguration(declared, { ...app, accessTokenTtlSeconds: 600 }, secrets);
  const profile = {
    username: customer.username,
    name: 'Casey Miller',
    given_name: 'Casey',
    email: 'casey@example.com',
    email_verified: true,
  };
  const clock = options.clock ?? systemClock;
  const added = await addCustomer({ profile, password: customer.password }, { ...app, clock });
  customer.id = added.id;
}

/** `fetch` with certificates for a server that listens on these ports. */
export function createFetches(
  { issuer, mtlsOrigin }: Pick<Configuration, 'issuer' | 'mtlsOrigin'>,
  { authority }: TestCertificates,
  { ports }: Pick<RunningServer, 'ports'>,
) {
  const agents: Agent[] = [];
  const ownPorts: Partial<Record<string, string>> = {
    [new URL(issuer).port]: String(ports.public),
    [new URL(mtlsOrigin).port]: String(ports.mtls),
  };

  return {
    fetch(certificate?: IssuedCertificate): typeof fetch {
      const connect = buildConnector({
        ca: authority.certificatePem,
        ...(certificate === undefined
          ? {}
          : { cert: certificate.certificatePem, key: certificate.privateKeyPem }),
      });
      const agent = new Agent({
        // As through a load balancer: a server beside another one has the same origins.
        connect(options, callback) {
          connect({ ...options, port: ownPorts[options.port] ?? options.port }, (error, socket) => {
            if (error === null) callback(null, socket);
            else callback(new Error(noConnection, { cause: error }), null);
          });
        },
      });
      agents.push(agent);
      return ((url: string, init: RequestInit = {}) =>
        undiciFetch(url, {
          redirect: 'manual',
          ...(init as object),
          dispatcher: agent,
        })) as unknown as typeof fetch;
    },
    close: () => Promise.all(agents.map((agent) => agent.close())),
  };
}

async function testMaterial(
  { authority, server }: TestCertificates,
  { algorithms = [], retiredAlgorithms = [] }: ServerOptions,
): Promise<Material> {
  const directory = await temporaryDirectory();
  const files = createKeyFiles(path.join(directory.path, 'signing'), systemClock);
  const keys = await Promise.all(
    (['RS256', ...algorithms, ...retiredAlgorithms] as const).map((algorithm) =>
      files.generate(algorithm, 'active'),
    ),
  );
  await directory.remove();
  return {
    signingKeys: keys.map(({ privateJwk, kid, algorithm }) => ({
      ...privateJwk,
      kid,
      alg: algorithm,
      stage: retiredAlgorithms.includes(algorithm) ? 'retired' : 'active',
    })),
    masterKeys: [randomBytes(32)],
    cookieKeys: [randomBytes(32)],
    encryptionKeys: [randomBytes(32)],
    digestKey: randomBytes(32),
    pairwiseSalt: randomBytes(32),
    tlsCertificate: server.certificatePem,
    tlsPrivateKey: server.privateKeyPem,
    clientTruststore: authority.certificatePem,
  };
}

function newSecret(): string {
  return randomBytes(32).toString('base64url');
}
