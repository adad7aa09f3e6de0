import packageJson from '../../package.json' with { type: 'json' };
import type { App } from '../app.ts';
import { systemClock } from '../clock.ts';
import type { Configuration } from '../config/schema.ts';
import { parseStaticConfiguration, readStaticConfiguration } from '../config/static-file.ts';
import type { Verification } from '../config/verification-file.ts';
import { addCustomer } from '../customers/add-customer.ts';
import { declareCustomer } from '../customers/declare-customer.ts';
import { banner } from '../development/banner.ts';
import { addCallbackPage } from '../development/callback-page.ts';
import { addDemoResource } from '../development/demo-resource.ts';
import { developmentFiles } from '../development/material.ts';
import { sampleConfiguration, sampleCustomers } from '../development/sample-data.ts';
import type { Logger } from '../observability/logger.ts';
import { createMetrics } from '../observability/metrics.ts';
import { randomSecret } from '../security/secrets.ts';
import { gatherMaterial } from './material.ts';
import type { Material } from './material.ts';
import type { CertificateTexts } from './served-certificates.ts';
import { startServer } from './server.ts';
import type { RunningServer, ServerDependencies } from './server.ts';
import { applyStaticConfiguration } from './static-configuration.ts';

/** Where a start tells people what they need; the log goes elsewhere. */
export type Announce = (text: string) => void;

/** What a server has from its process. */
interface Surroundings {
  logger: Logger;
  announce: Announce;
  /** What a verification file declares, in place of the sample data. */
  verification?: Verification | undefined;
  /** The configuration as the environment and its files say now. Throws a Refusal. */
  reread: () => Configuration;
}

/** Starts a server as the configuration says, in development with its sample data and banner. */
export async function serveConfigured(
  configuration: Configuration,
  { logger, announce, verification, reread }: Surroundings,
): Promise<RunningServer> {
  let gathered: Material | undefined;
  const codeVerifier = randomSecret();
  const deps: ServerDependencies = {
    logger,
    metrics: createMetrics({ version: packageJson.version }),
    clock: systemClock,
    rereadCertificates: () => certificatesNow(reread(), gathered),
    rereadSignerToken: () => reread().signerToken,
    prepare: (app) =>
      verification === undefined
        ? prepare(app, configuration, gathered)
        : prepareDeclared(app, configuration, verification),
    developmentRoutes(router, parts) {
      const files = gathered?.development?.files;
      if (files === undefined) return;
      const authorityFile = files.pathOf(developmentFiles.authority);
      const { issuer } = configuration;
      addCallbackPage(router, parts.pages, { issuer, authorityFile, codeVerifier });
      addDemoResource(router, parts);
    },
  };
  const declared = verification === undefined ? {} : { directories: verification.directories };
  const gather = async () =>
    (gathered ??= { ...(await gatherMaterial(configuration, systemClock)), ...declared });
  // Production creates nothing, so everything that is missing can be told before a port is taken.
  if (configuration.environment === 'production') await gather();
  const running = await startServer(configuration, gather, deps);
  const { issuer, mtlsOrigin, listenAddress } = configuration;
  const { version } = packageJson;
  logger.info('Serving', { version, issuer, mtlsOrigin, listenAddress, ...running.ports });
  if (verification === undefined) {
    announceDevelopment({ configuration, running, codeVerifier, announce, material: gathered });
  }
  return running;
}

/** What the settings say now; what they don't was created, and stays. */
function certificatesNow(now: Configuration, gathered: Material | undefined): CertificateTexts {
  return {
    tlsCertificate: now.tlsCertificate ?? gathered?.tlsCertificate ?? '',
    tlsPrivateKey: now.tlsPrivateKey ?? gathered?.tlsPrivateKey ?? '',
    clientTruststore: now.clientTruststore ?? gathered?.clientTruststore ?? '',
  };
}

async function prepare(
  app: App,
  configuration: Configuration,
  material: Material | undefined,
): Promise<void> {
  const { configurationFile, accessTokenTtlSeconds, minimumProfile } = configuration;
  const stores = { ...app, accessTokenTtlSeconds, minimumProfile };
  if (configurationFile !== undefined) {
    await applyStaticConfiguration(readStaticConfiguration(configurationFile), stores);
  } else if (material?.development !== undefined) {
    const sample = parseStaticConfiguration(
      sampleConfiguration(configuration.issuer, minimumProfile),
      'sample data',
    );
    const { secrets } = material.development.material;
    const clientSecrets = { 'sample-resource-server': secrets.resourceServerSecret };
    await applyStaticConfiguration(sample, stores, clientSecrets);
  }
  if (material?.development !== undefined) await addSampleCustomers(app, material);
}

/** Makes the database hold what a verification file declares, customers too. */
async function prepareDeclared(
  app: App,
  { accessTokenTtlSeconds, minimumProfile }: Configuration,
  { configuration, secrets, customers }: Verification,
): Promise<void> {
  const stores = { ...app, accessTokenTtlSeconds, minimumProfile };
  await applyStaticConfiguration(configuration, stores, secrets);
  for (const customer of customers) {
    const { id, done } = await declareCustomer(customer, { ...app, clock: systemClock });
    if (done === 'nothing') continue;
    await app.audit.recordDurably({
      type: done === 'added' ? 'customer.created' : 'customer.updated',
      outcome: 'success',
      actor: { type: 'system' },
      customerId: id,
      detail: { by: 'verification file' },
    });
  }
}

async function addSampleCustomers(app: App, { development }: Material): Promise<void> {
  const password = development?.material.secrets.customerPassword;
  if (password === undefined) return;
  for (const profile of sampleCustomers) {
    if ((await app.customers.findByUsername(profile.username)) !== undefined) continue;
    await addCustomer({ profile, password }, { ...app, clock: systemClock });
  }
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
