import { X509Certificate } from 'node:crypto';
import type { RequestListener } from 'node:http';
import type { Server } from 'node:https';
import type Router from '@koa/router';
import { createApp } from '../app.ts';
import type { App } from '../app.ts';
import type { Clock } from '../clock.ts';
import type { Configuration } from '../config/schema.ts';
import { createCleanup } from '../database/cleanup.ts';
import { createOperationsServer } from '../http/health.ts';
import { nameListener } from '../http/listener-name.ts';
import type { Pages } from '../http/pages.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import { createMutualTlsListener, createPublicListener } from '../tls/listeners.ts';
import { readTruststore } from '../tls/truststore.ts';
import { appSettings } from './app-settings.ts';
import { openConfiguredDatabase } from './database.ts';
import type { OpenDatabase } from './database.ts';
import { listen, drain } from './listening.ts';
import type { Material } from './material.ts';
import { readinessOf } from './readiness.ts';
import type { ServerState } from './readiness.ts';
import { runAll } from './run-all.ts';

/** What a server needs besides its configuration and material. */
export interface ServerDependencies {
  logger: Logger;
  metrics: Metrics;
  clock: Clock;
  developmentRoutes?: (router: Router, pages: Pages) => void;
  /** Called with the app before anything listens: clients, sample data. */
  prepare(app: App): Promise<void>;
}

/** A running server. */
export interface RunningServer {
  app: App;
  embeddedDirectory: string | undefined;
  /** Ports that were chosen, where 0 was asked for. */
  ports: { public: number; mtls: number; operations: number };
  /**
   * Stops taking requests, lets the running ones finish, and leaves the database. What fails on the way keeps none of
   * the rest from being closed, and rejects in the end.
   */
  stop(): Promise<void>;
}

/**
 * Starts everything in the order in which it depends on each other. The operations port is taken first: a second start
 * of the same installation ends there, before it has touched anything. Problem('already_running').
 */
export async function startServer(
  configuration: Configuration,
  gather: () => Promise<Material>,
  deps: ServerDependencies,
): Promise<RunningServer> {
  const state: ServerState & { database?: OpenDatabase } = { phase: 'starting' };
  const operations = createOperationsServer({
    address: configuration.operationsAddress,
    port: configuration.operationsPort,
    metrics: deps.metrics,
    readiness: () => readinessOf(state, deps.metrics),
  });
  await operations.listen();
  try {
    const material = await gather();
    const database = await openConfiguredDatabase(configuration, deps.logger);
    state.database = database;
    const running = await serve(configuration, { material, database, deps });
    state.phase = 'serving';
    return {
      app: running.app,
      embeddedDirectory: database.embeddedDirectory,
      ports: { ...running.ports, operations: operations.port() },
      async stop() {
        state.phase = 'stopping';
        await runAll([running.stop, () => database.close(), () => operations.close()]);
      },
    };
  } catch (error) {
    const closing = [async () => state.database?.close(), () => operations.close()];
    await runAll(closing).catch((failure: unknown) => {
      deps.logger.warn('A start that failed left something open', { error: failure });
    });
    throw error;
  }
}

interface Foundation {
  material: Material;
  database: OpenDatabase;
  deps: ServerDependencies;
}

async function serve(configuration: Configuration, foundation: Foundation) {
  const { material, database, deps } = foundation;
  const { logger, metrics, clock, developmentRoutes } = deps;
  const settings = {
    ...appSettings(configuration, material),
    ...(developmentRoutes === undefined ? {} : { developmentRoutes }),
  };
  const { database: opened, changes } = database;
  const app = await createApp(settings, { database: opened, changes, logger, metrics, clock });
  changes.start();
  await deps.prepare(app);
  const servers = createServers(app, material, deps);
  const ports = await listenOnBoth(servers, configuration);
  const cleanup = startCleanup(configuration, { database, deps });
  observe(foundation);
  const system = { actor: { type: 'system' }, outcome: 'success' } as const;
  for (const migration of database.applied) {
    app.audit.record({ ...system, type: 'migration.applied', detail: { migration } });
  }
  app.audit.record({ ...system, type: 'server.started' });
  return {
    app,
    ports,
    stop: () =>
      runAll([
        () => drain([servers.public, servers.mtls], configuration.drainSeconds),
        async () => cleanup?.stop(),
        () => {
          app.audit.record({ ...system, type: 'server.stopped' });
          return app.audit.close();
        },
      ]),
  };
}

/** Both doors or none: one that stays open keeps a process alive that has given its database up. */
async function listenOnBoth(
  servers: { public: Server; mtls: Server },
  { listenAddress: address, port, mtlsPort }: Configuration,
): Promise<{ public: number; mtls: number }> {
  const publicPort = await listen(servers.public, { address, port });
  try {
    return { public: publicPort, mtls: await listen(servers.mtls, { address, port: mtlsPort }) };
  } catch (error) {
    await drain([servers.public], 0);
    throw error;
  }
}

function createServers(
  app: App,
  material: Material,
  { logger, metrics, clock }: ServerDependencies,
): { public: Server; mtls: Server } {
  const options = {
    certificatePem: material.tlsCertificate,
    privateKeyPem: material.tlsPrivateKey,
    logger,
    onHandshakeFailure: (reason: string) => {
      metrics.tlsHandshakeFailures.increment({ reason });
    },
  };
  const truststore = readTruststore(material.clientTruststore, clock);
  for (const warning of truststore.warnings) logger.warn('client truststore', { warning });
  const handle: RequestListener = (request, response) => {
    void app.handler(request, response); // Koa answers every error itself
  };
  const servers = {
    public: createPublicListener(options, handle),
    mtls: createMutualTlsListener({ ...options, truststore: truststore.certificates }, handle),
  };
  nameListener(servers.public, 'public');
  nameListener(servers.mtls, 'mtls');
  return servers;
}

function startCleanup(
  configuration: Configuration,
  { database, deps }: Pick<Foundation, 'database' | 'deps'>,
) {
  const { cleanupIntervalSeconds, cleanupBatchSize, auditRetentionDays } = configuration;
  if (cleanupIntervalSeconds === 0) return undefined;
  const cleanup = createCleanup({
    prisma: database.database.prisma,
    clock: deps.clock,
    logger: deps.logger,
    batchSize: cleanupBatchSize,
    intervalMs: cleanupIntervalSeconds * 1000,
    auditRetentionDays,
    onDeleted(table, rows) {
      deps.metrics.cleanupDeletedRows.increment({ table }, rows);
    },
    onBacklog(table, { expiredRows, oldestExpiredSeconds }) {
      deps.metrics.cleanupBacklogRows.set({ table }, expiredRows);
      deps.metrics.cleanupOldestExpiredSeconds.set({ table }, oldestExpiredSeconds);
    },
  });
  cleanup.start();
  return cleanup;
}

/** What is read at each scrape. */
function observe({ material, database: { database }, deps: { metrics, clock } }: Foundation): void {
  const certificates = {
    server: new X509Certificate(material.tlsCertificate),
    // The first of the authorities to end: its clients are refused from then on.
    client_authorities: firstToEnd(readTruststore(material.clientTruststore, clock).certificates),
  };
  metrics.onScrape(() => {
    for (const [name, certificate] of Object.entries(certificates)) {
      const seconds = (certificate.validToDate.getTime() - clock.now().getTime()) / 1000;
      metrics.certificateExpirySeconds.set({ name }, seconds);
    }
    for (const [state, value] of Object.entries(database.stats())) {
      metrics.databasePool.set({ state }, value);
    }
  });
}

function firstToEnd(pems: readonly string[]): X509Certificate {
  const certificates = pems.map((pem) => new X509Certificate(pem));
  return certificates.reduce((a, b) => (a.validToDate < b.validToDate ? a : b));
}
