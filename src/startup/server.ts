import type { RequestListener } from 'node:http';
import type { Server } from 'node:https';
import { createApp } from '../app.ts';
import type { App } from '../app.ts';
import { backgroundOf } from '../assembly/background.ts';
import type { DevelopmentRoutes } from '../assembly/settings.ts';
import type { Clock } from '../clock.ts';
import type { Configuration } from '../config/schema.ts';
import { createUpkeep } from '../consents/upkeep.ts';
import { createCleanup } from '../database/cleanup.ts';
import { createOperationsServer } from '../http/health.ts';
import { nameListener } from '../http/listener-name.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import { createMutualTlsListener, createPublicListener } from '../tls/listeners.ts';
import { readTruststore } from '../tls/truststore.ts';
import { appSettings } from './app-settings.ts';
import { openConfiguredDatabase } from './database.ts';
import type { OpenDatabase } from './database.ts';
import { openKeyRing } from './key-ring.ts';
import type { OpenKeyRing } from './key-ring.ts';
import { listen, drain } from './listening.ts';
import type { Material } from './material.ts';
import { readinessOf } from './readiness.ts';
import type { ServerState } from './readiness.ts';
import { createRenewableRevocation } from './revocation.ts';
import type { RenewableRevocation } from './revocation.ts';
import { runAll } from './run-all.ts';
import { furtherCertificates } from './named-certificates.ts';
import type { NamedCertificate } from './named-certificates.ts';
import { createSecretWatch } from './secret-watch.ts';
import { createServedCertificates } from './served-certificates.ts';
import type { CertificateTexts, ServedCertificates } from './served-certificates.ts';

/** What a server needs besides its configuration and material. */
export interface ServerDependencies {
  logger: Logger;
  metrics: Metrics;
  clock: Clock;
  developmentRoutes?: DevelopmentRoutes;
  /** The certificates as the settings' files have them now; without it they stay as they are. */
  rereadCertificates?: () => CertificateTexts;
  /** The key service's access token as its file has it now. */
  rereadSignerToken?: () => string | undefined;
  /** Called with the app before anything listens: clients, sample data. */
  prepare(app: App): Promise<void>;
}

/** A running server. */
export interface RunningServer {
  app: App;
  embeddedDirectory: string | undefined;
  /** Ports that were chosen, where 0 was asked for. */
  ports: { public: number; mtls: number; operations: number };
  /** Reads certificates and truststore again. */
  reload(): void;
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
  const opened: Closing[] = [() => operations.close()];
  try {
    const material = await gather();
    const database = await openConfiguredDatabase(configuration, deps.logger);
    opened.push(() => database.close());
    state.database = database;
    const running = await serve(configuration, { material, database, deps, opened });
    state.phase = 'serving';
    return {
      app: running.app,
      embeddedDirectory: database.embeddedDirectory,
      reload: running.reload,
      ports: { ...running.ports, operations: operations.port() },
      async stop() {
        state.phase = 'stopping';
        await runAll([running.stop, () => database.close(), () => operations.close()]);
      },
    };
  } catch (error) {
    await runAll(opened.toReversed()).catch((failure: unknown) => {
      deps.logger.warn('A start that failed left something open', { error: failure });
    });
    throw error;
  }
}

type Closing = () => Promise<unknown>;

interface Foundation {
  material: Material;
  database: OpenDatabase;
  deps: ServerDependencies;
  /** Takes what closes each part as it is opened: what stays open keeps a process alive whose start failed. */
  opened: Closing[];
}

async function serve(configuration: Configuration, foundation: Foundation) {
  const { material, database, deps, opened: closings } = foundation;
  const { logger, metrics, clock, developmentRoutes } = deps;
  const settings = {
    ...appSettings(configuration, material),
    ...(developmentRoutes === undefined ? {} : { developmentRoutes }),
  };
  const { database: opened, changes } = database;
  const keyRing = await openKeyRing(configuration, material, {
    ...{ prisma: opened.prisma, changes, rereadToken: deps.rereadSignerToken, ...deps },
  });
  closings.push(() => keyRing.stop());
  const revocation = createRenewableRevocation(configuration, material.clientTruststore, deps);
  await revocation.preload();
  const app = await createApp(settings, {
    ...{ database: opened, changes, keyRing: keyRing.ring, logger, metrics, clock, revocation },
    onOpen: (close) => closings.push(close),
  });
  const background = backgroundOf(app);
  closings.push(() => app.audit.close(), ...background.stops.toReversed());
  changes.start();
  await deps.prepare(app);
  const secrets = createSecretWatch({ material, prisma: opened.prisma, ...deps });
  await secrets.start();
  closings.push(() => secrets.stop());
  const further = furtherCertificates(configuration, clock); // before anybody is answered
  const { servers, ports } = await openDoors(configuration, app, foundation);
  const certificates = watchCertificates({ servers, app, revocation, further }, foundation);
  certificates.start();
  keyRing.ring.start(app.replaceKeys);
  background.start();
  const cleanup = startCleanup(configuration, { database, deps });
  const upkeep = startUpkeep(configuration, app, deps);
  observe(foundation);
  recordStart(app, database, keyRing);
  return {
    app,
    ports,
    reload: () => {
      certificates.reload();
    },
    stop: () =>
      runAll([
        async () => {
          background.release();
          await drain([servers.public, servers.mtls], configuration.drainSeconds);
        },
        ...background.stops,
        async () => cleanup?.stop(),
        async () => upkeep?.stop(),
        () => keyRing.stop(),
        () => secrets.stop(),
        () => certificates.stop(),
        () => {
          app.audit.record({ ...system, type: 'server.stopped' });
          return app.audit.close();
        },
      ]),
  };
}

const system = { actor: { type: 'system' }, outcome: 'success' } as const;

/** What was done before there was anything to record it with, and that the server answers. */
function recordStart({ audit }: App, { applied }: OpenDatabase, keyRing: OpenKeyRing): void {
  for (const migration of applied) {
    audit.record({ ...system, type: 'migration.applied', detail: { migration } });
  }
  keyRing.recordTo((act) => {
    audit.record({ ...system, ...act });
  });
  audit.record({ ...system, type: 'server.started' });
}

/** Exchanges the certificates of the listeners, and whom clients must have theirs from, as the files change. */
function watchCertificates(
  parts: {
    servers: { public: Server; mtls: Server };
    app: App;
    revocation: RenewableRevocation;
    further: readonly NamedCertificate[];
  },
  { material: initial, deps }: Foundation,
): ServedCertificates {
  const { servers, app, revocation, further } = parts;
  const read = () => deps.rereadCertificates?.() ?? initial;
  return createServedCertificates({
    ...{ ...deps, servers, initial, further, read },
    onTruststore(pem) {
      app.replaceTruststore(pem);
      revocation.replaceTruststore(pem);
    },
  });
}

async function openDoors(
  configuration: Configuration,
  app: App,
  { material, deps, opened }: Foundation,
) {
  const servers = createServers(app, material, deps);
  const ports = await listenOnBoth(servers, configuration);
  opened.push(() => drain([servers.public, servers.mtls], 0));
  return { servers, ports };
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

/** As often as the cleanup, of which it is a part for operators. */
function startUpkeep(
  { cleanupIntervalSeconds }: Configuration,
  { consents, audit }: App,
  { logger }: ServerDependencies,
) {
  if (cleanupIntervalSeconds === 0) return undefined;
  const upkeep = createUpkeep({
    consents,
    audit,
    logger,
    intervalMs: cleanupIntervalSeconds * 1000,
  });
  upkeep.start();
  return upkeep;
}

/** What is read at each scrape. */
function observe({ database: { database }, deps: { metrics } }: Foundation): void {
  metrics.onScrape(() => {
    for (const [state, value] of Object.entries(database.stats())) {
      metrics.databasePool.set({ state }, value);
    }
  });
}
