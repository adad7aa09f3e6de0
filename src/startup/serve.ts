import packageJson from '../../package.json' with { type: 'json' };
import type { App } from '../app.ts';
import { systemClock } from '../clock.ts';
import type { Configuration } from '../config/schema.ts';
import { parseStaticConfiguration, readStaticConfiguration } from '../config/static-file.ts';
import { addCustomer } from '../customers/add-customer.ts';
import { banner } from '../development/banner.ts';
import { addCallbackPage } from '../development/callback-page.ts';
import { developmentFiles } from '../development/material.ts';
import { sampleConfiguration, sampleCustomer } from '../development/sample-data.ts';
import type { Logger } from '../observability/logger.ts';
import { createMetrics } from '../observability/metrics.ts';
import { randomSecret } from '../security/secrets.ts';
import { gatherMaterial } from './material.ts';
import type { Material } from './material.ts';
import { startServer } from './server.ts';
import type { RunningServer, ServerDependencies } from './server.ts';
import { applyStaticConfiguration } from './static-configuration.ts';

/** Where a start tells people what they need; the log goes elsewhere. */
export type Announce = (text: string) => void;

/** Starts a server as the configuration says, in development with its sample data and banner. */
export async function serveConfigured(
  configuration: Configuration,
  logger: Logger,
  announce: Announce,
): Promise<RunningServer> {
  let gathered: Material | undefined;
  const codeVerifier = randomSecret();
  const deps: ServerDependencies = {
    logger,
    metrics: createMetrics({ version: packageJson.version }),
    clock: systemClock,
    prepare: (app) => prepare(app, configuration, gathered),
    developmentRoutes(router, pages) {
      const files = gathered?.development?.files;
      if (files === undefined) return;
      const authorityFile = files.pathOf(developmentFiles.authority);
      addCallbackPage(router, pages, { issuer: configuration.issuer, authorityFile, codeVerifier });
    },
  };
  const gather = async () => (gathered ??= await gatherMaterial(configuration, systemClock));
  // Production creates nothing, so everything that is missing can be told before a port is taken.
  if (configuration.environment === 'production') await gather();
  const running = await startServer(configuration, gather, deps);
  const { issuer, mtlsOrigin, listenAddress } = configuration;
  const { version } = packageJson;
  logger.info('Serving', { version, issuer, mtlsOrigin, listenAddress, ...running.ports });
  announceDevelopment({ configuration, running, codeVerifier, announce, material: gathered });
  return running;
}

async function prepare(
  app: App,
  configuration: Configuration,
  material: Material | undefined,
): Promise<void> {
  const { configurationFile, accessTokenTtlSeconds } = configuration;
  const stores = { ...app, accessTokenTtlSeconds };
  if (configurationFile !== undefined) {
    await applyStaticConfiguration(await readStaticConfiguration(configurationFile), stores);
  } else if (material?.development !== undefined) {
    const sample = parseStaticConfiguration(
      sampleConfiguration(configuration.issuer),
      'sample data',
    );
    const { secrets } = material.development.material;
    const clientSecrets = { 'sample-resource-server': secrets.resourceServerSecret };
    await applyStaticConfiguration(sample, stores, clientSecrets);
  }
  if (material?.development !== undefined) await addSampleCustomer(app, material);
}

async function addSampleCustomer(app: App, { development }: Material): Promise<void> {
  const password = development?.material.secrets.customerPassword;
  if (password === undefined) return;
  if ((await app.customers.findByUsername(sampleCustomer.username)) !== undefined) return;
  await addCustomer({ profile: sampleCustomer, password }, { ...app, clock: systemClock });
}

interface Announcement {
  configuration: Configuration;
  running: RunningServer;
  codeVerifier: string;
  announce: Announce;
  material: Material | undefined;
}

function announceDevelopment(announcement: Announcement): void {
  const { configuration, running, codeVerifier, announce, material } = announcement;
  if (material?.development === undefined) return;
  const { files, material: created } = material.development;
  const { issuer, mtlsOrigin, operationsAddress } = configuration;
  announce(
    banner({
      issuer,
      mtlsOrigin,
      operationsUrl: `http://${operationsAddress}:${String(running.ports.operations)}`,
      files,
      databaseDirectory: running.embeddedDirectory,
      customerPassword: created.secrets.customerPassword,
      codeVerifier,
    }),
  );
}
