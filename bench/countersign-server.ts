import path from 'node:path';
import { systemClock } from '../src/clock.ts';
import type { App } from '../src/app.ts';
import { loadConfiguration } from '../src/config/load.ts';
import { parseStaticConfiguration } from '../src/config/static-file.ts';
import { addCustomer } from '../src/customers/add-customer.ts';
import { createLogger } from '../src/observability/logger.ts';
import { createMetrics } from '../src/observability/metrics.ts';
import type { Material } from '../src/startup/material.ts';
import { startServer } from '../src/startup/server.ts';
import { applyStaticConfiguration } from '../src/startup/static-configuration.ts';
import { answerParent } from './parts/channel.ts';
import { fixedKeys } from './parts/fixed-keys.ts';
import { staticConfiguration } from './parts/clients.ts';
import { usage } from './parts/server-calls.ts';
import type { ServerCalls } from './parts/server-calls.ts';
import { traceStatements } from './parts/statements.ts';
import { cpuEach } from './parts/verifications.ts';
import { accountsApi, proxyName, readWorld } from './parts/world.ts';
import type { Place, ServerName, World } from './parts/world.ts';

/** The assembled server: Postgres, audit, metrics and JSON logs of level info, all as in production. */
const [worldFile = '', name = ''] = process.argv.slice(2);
const world = readWorld(worldFile);
const place = world.places[name as ServerName];
const trace = traceStatements();
const running = start();

answerParent<ServerCalls>({
  async ready() {
    await running;
  },
  usage,
  mintedTokens: () => [],
  startTrace() {
    trace.start();
  },
  async verifyApiKeys(times) {
    const { issuing, verify } = (await running).app.apiKeys;
    const terms = {
      ...{ name: 'bench', addresses: [], limit: { requests: 1_000_000, seconds: 1 } },
      permissions: { [accountsApi]: ['accounts'] },
      expiresAt: new Date(systemClock.now().getTime() + 86_400_000),
    };
    const asked = { owner: { type: 'operator' }, terms, idempotency: undefined } as const;
    const made = await issuing.create(asked, { type: 'operator', id: 'bench' });
    const key = 'secret' in made ? (made.secret ?? '') : '';
    const shown = { key, address: '192.0.2.1', resourceServer: accountsApi };
    return cpuEach(times, async () => {
      const { outcome } = await verify(shown);
      if (outcome !== 'accepted') throw new Error(outcome);
    });
  },
  async pinKeys() {
    (await running).app.replaceKeys(fixedKeys(world));
  },
  async swapKeys(times) {
    const { app } = await running;
    const keys = fixedKeys(world);
    return cpuEach(times, () => {
      app.replaceKeys(keys);
      return Promise.resolve();
    });
  },
  async stopTrace() {
    await (await running).app.audit.flush();
    return trace.stop();
  },
});

function start() {
  const loaded = loadConfiguration(environmentOf(place));
  if (!loaded.ok) throw new Error(loaded.problems.join('\n'));
  const logger = createLogger({ level: 'info', format: 'json', gatherMs: 5 }); // as run-server.ts
  return startServer(loaded.configuration, () => Promise.resolve(materialOf(world)), {
    logger,
    metrics: createMetrics(),
    clock: systemClock,
    prepare: (app) => (name === 'second' ? Promise.resolve() : prepare(app)),
  });
}

function environmentOf({ issuer, mtlsOrigin, port, mtlsPort, databaseUrl, limits }: Place) {
  // Every rule that there is, and none that one machine could meet.
  const policy = limits === 'nowhere' ? 'no-rate-limits.json' : 'rate-limits.json';
  return {
    COUNTERSIGN_RATE_LIMIT_POLICY: path.join(import.meta.dirname, 'parts', policy),
    COUNTERSIGN_RATE_LIMIT_STORE: limits === undefined ? 'postgres' : 'memory',
    COUNTERSIGN_ENV: 'production',
    COUNTERSIGN_ISSUER: issuer,
    COUNTERSIGN_MTLS_ORIGIN: mtlsOrigin,
    COUNTERSIGN_PORT: String(port),
    COUNTERSIGN_MTLS_PORT: String(mtlsPort),
    COUNTERSIGN_OPERATIONS_PORT: '0',
    COUNTERSIGN_DEFAULT_RESOURCE: accountsApi,
    COUNTERSIGN_ACCESS_TOKEN_TTL: '900', // the longest that there is, and longer than a run
    COUNTERSIGN_REVOCATION_WITHOUT_SOURCE: 'accept', // our own certificates name neither list nor responder
    COUNTERSIGN_DIRECTORIES: world.directory.file,
    COUNTERSIGN_OUTBOUND_ALLOW: new URL(world.directory.origin).host,
    COUNTERSIGN_OUTBOUND_TRUSTSTORE: world.authority.certificatePem,
    DATABASE_URL: databaseUrl,
    COUNTERSIGN_EDGE_POLICY_FILE: path.join(import.meta.dirname, 'parts', 'edge-policy.json'),
    COUNTERSIGN_PROXY_CERTIFICATE_HEADER: 'nginx',
    COUNTERSIGN_PROXY_ADDRESS_HEADER: 'x-forwarded-for',
    COUNTERSIGN_PROXY_NETWORKS: '127.0.0.1/32',
    COUNTERSIGN_PROXY_SECRETS: world.proxySecret,
    ...(world.proxy && {
      COUNTERSIGN_PROXY_TRUSTSTORE: world.proxy.authority,
      COUNTERSIGN_PROXY_NAMES: `dns:${proxyName}`,
    }),
  };
}

function materialOf({ signingKey, fapiKey, keys, server, authority }: World): Material {
  const bytes = (text: string) => Buffer.from(text, 'base64url');
  return {
    signingKeys: [
      { ...signingKey, kid: signingKey.kid ?? 'bench', alg: 'RS256', stage: 'active' },
      { ...fapiKey, kid: fapiKey.kid ?? 'bench-fapi', alg: 'PS256', stage: 'active' },
    ],
    masterKeys: [bytes(keys.encryption)],
    cookieKeys: [bytes(keys.cookie)],
    encryptionKeys: [bytes(keys.encryption)],
    digestKey: bytes(keys.digest),
    pairwiseSalt: bytes(keys.pairwise),
    tlsCertificate: server.certificatePem,
    tlsPrivateKey: server.privateKeyPem,
    clientTruststore: authority.certificatePem,
  };
}

async function prepare(app: App): Promise<void> {
  const declared = parseStaticConfiguration(staticConfiguration, 'bench');
  await applyStaticConfiguration(declared, { ...app, accessTokenTtlSeconds: 900 }, world.secrets);
  for (const { username, password } of world.customers) {
    const profile = { username, name: 'Casey Miller', email: 'casey@example.com' };
    await addCustomer({ profile, password }, { ...app, clock: systemClock });
  }
}
