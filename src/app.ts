import Router from '@koa/router';
import Koa from 'koa';
import type { JWK } from 'jose';
import { createAuditStore } from './audit/audit-store.ts';
import { createAuditTrail } from './audit/trail.ts';
import { createClientStore } from './clients/client-store.ts';
import type { Clock } from './clock.ts';
import { createConsentPages } from './consents/consent-pages.ts';
import { claimsOf } from './customers/customer.ts';
import { createCustomerStore } from './customers/customer-store.ts';
import { createLogin } from './customers/login.ts';
import { createLoginPages } from './customers/login-pages.ts';
import { createLoginThrottle } from './customers/login-throttle-store.ts';
import { createPasswordHasher } from './customers/password.ts';
import type { PasswordHashCost, PasswordHasher, PasswordHashLimits } from './customers/password.ts';
import type { ChangeSource } from './database/changes.ts';
import type { Database } from './database/client.ts';
import { isDatabaseUnavailable } from './database/unavailable.ts';
import { createAssets } from './http/assets.ts';
import { createCsrf } from './http/csrf.ts';
import { securityHeaders } from './http/headers.ts';
import { pinHost } from './http/host.ts';
import { createLocales } from './http/locale.ts';
import { createPages } from './http/pages.ts';
import type { Pages } from './http/pages.ts';
import { problemResponse } from './http/problem-response.ts';
import { createRenderer } from './http/render.ts';
import { requestLog } from './http/request-log.ts';
import type { Logger } from './observability/logger.ts';
import type { Metrics } from './observability/metrics.ts';
import { currentRequest } from './observability/request-context.ts';
import { createArtifactStore } from './provider/artifact-store.ts';
import {
  allowedMethods,
  isForPrograms,
  rejectAlmostEndpoints,
  rejectPagesOverMtls,
} from './provider/doors.ts';
import { createEngine } from './provider/engine.ts';
import type { Engine } from './provider/engine.ts';
import { createInteractions } from './provider/interactions.ts';
import { acceptByPost } from './provider/posted-pages.ts';
import { dispatchInteraction } from './provider/interaction-routes.ts';
import { createHostedPages } from './provider/hosted-pages.ts';
import type { Lifetimes } from './provider/ports.ts';
import { createSingleUseStore } from './provider/single-use-store.ts';
import { createResourceServerStore } from './resource-servers/resource-server-store.ts';
import { createEncryption } from './security/encryption.ts';
import { createOutboundFetch } from './security/outbound-fetch.ts';
import type { OutboundLimits } from './security/outbound-fetch.ts';

/** Everything that varies between installations, as plain values. */
export interface AppSettings {
  issuer: string;
  mtlsOrigin: string;
  /** Private JWKs, the one that signs first. */
  signingKeys: readonly JWK[];
  cookieKeys: readonly Buffer[];
  encryptionKeys: readonly Buffer[];
  digestKey: Buffer;
  pairwiseSalt: Buffer;
  defaultResource: string | undefined;
  /** Whether and how long a retried refresh gets the same answer again. */
  refreshRetry: { seconds: number; unproven: boolean };
  lifetimes: Lifetimes;
  passwordHash: PasswordHashCost & PasswordHashLimits;
  brand: { name: string; helpUrl?: string | undefined; logoFile?: string; themeFile?: string };
  outbound: OutboundLimits;
  viewsDirectory: string;
  hstsMaxAgeSeconds: number;
  /** Adds routes that exist in development only. */
  developmentRoutes?: (router: Router, pages: Pages) => void;
}

/** What the app stands on. */
export interface AppDependencies {
  database: Database;
  /** Changes that other processes make to what this one remembers. */
  changes: ChangeSource;
  logger: Logger;
  metrics: Metrics;
  clock: Clock;
}

/** A row waits 50 ms at most for others to share its commit with; 50,000 rows are about 50 MB. */
const auditLimits = { maxQueue: 50_000, flushIntervalMs: 50, batchSize: 500 };

/** Builds the authorization server: every part gets what it needs here, and nowhere else. */
export async function createApp(settings: AppSettings, deps: AppDependencies) {
  const storage = createStorage(settings, deps);
  const { audit, clients, resourceServers, customers } = storage;
  const passwords = await createPasswords(settings, deps.metrics);
  const hosting = createHosting(settings);
  const engine = createOpenIdEngine(settings, deps, { storage, hosting });
  const router = createRoutes(settings, deps, { storage, hosting, engine, passwords });

  const koa = new Koa({ keys: cookieKeysOf(settings), proxy: false });
  koa.on('error', (error: unknown) => {
    deps.logger.error('a response failed', { error });
  });
  const steps: Koa.Middleware[] = [
    requestLog(deps), // first: every later log line carries the request id
    securityHeaders(settings), // before errors become responses, so that those have them too
    problemResponse({
      ...deps,
      ...hosting.hostedPages,
      isDatabaseUnavailable,
      allowedMethods,
      isForPrograms,
    }),
    pinHost(hostsOf(settings)), // before anything that builds a URL
    rejectPagesOverMtls, // browsers must never be asked for a certificate
    rejectAlmostEndpoints, // before the engine, which is lenient about letters and slashes
    hosting.assets.middleware,
    router.routes() as unknown as Koa.Middleware,
    engine.middleware,
  ];
  for (const step of steps) koa.use(step);
  return { handler: koa.callback(), audit, clients, resourceServers, customers, passwords };
}

/** The running authorization server's parts that the process and the operators' commands use. */
export type App = Awaited<ReturnType<typeof createApp>>;

type Storage = ReturnType<typeof createStorage>;
type Hosting = ReturnType<typeof createHosting>;

function createStorage(settings: AppSettings, deps: AppDependencies) {
  const { prisma } = deps.database;
  const { clock, changes } = deps;
  const { digestKey, refreshRetry } = settings;
  const retries = { retrySeconds: refreshRetry.seconds, retryUnproven: refreshRetry.unproven };
  const encryption = createEncryption(settings.encryptionKeys);
  const audit = createAuditTrail({ store: createAuditStore(prisma), ...deps, ...auditLimits });

  function onReplay(kind: string, clientId: string | undefined): void {
    const parties =
      clientId === undefined
        ? { actor: { type: 'client' } as const }
        : { actor: { type: 'client', id: clientId } as const, clientId };
    audit.record({ type: 'replay.detected', outcome: 'refused', ...parties, detail: { kind } });
  }

  return {
    audit,
    clients: createClientStore({ prisma, digestKey, changes }),
    resourceServers: createResourceServerStore({ prisma, changes }),
    customers: createCustomerStore({ prisma, encryption, digestKey }),
    throttle: createLoginThrottle({ prisma, digestKey, clock }),
    singleUse: createSingleUseStore(prisma),
    artifacts: createArtifactStore({ prisma, encryption, clock, onReplay, retries }),
    onReplay,
  };
}

function createPasswords({ passwordHash }: AppSettings, metrics: Metrics) {
  return createPasswordHasher(passwordHash, passwordHash, {
    onDuration(seconds) {
      metrics.passwordHashSeconds.observe({}, seconds);
    },
    onPending(count) {
      metrics.passwordHashQueue.set({}, count);
    },
  });
}

function createHosting({ viewsDirectory, brand, cookieKeys }: AppSettings) {
  const { name, helpUrl, ...brandFiles } = brand;
  const locales = createLocales(`${viewsDirectory}/locales`);
  const assets = createAssets({ directory: `${viewsDirectory}/assets`, ...brandFiles });
  const { logoUrl, themeUrl } = assets;
  const renderer = createRenderer({
    viewsDirectory,
    locales,
    brand: { name, helpUrl, logoUrl, themeUrl },
  });
  const pages = createPages(renderer, locales);
  const [formKey = Buffer.alloc(0), ...olderFormKeys] = cookieKeys; // an empty one is refused
  const csrf = createCsrf(formKey, ...olderFormKeys);
  return { assets, pages, hostedPages: createHostedPages(pages), csrf };
}

function createOpenIdEngine(
  settings: AppSettings,
  { metrics, logger, clock }: AppDependencies,
  { storage, hosting }: { storage: Storage; hosting: Hosting },
) {
  const { audit, artifacts, onReplay, singleUse, clients, resourceServers } = storage;
  const { issuer, mtlsOrigin, pairwiseSalt, defaultResource, lifetimes } = settings;
  return createEngine(settings.signingKeys, {
    issuer,
    mtlsOrigin,
    cookieKeys: cookieKeysOf(settings),
    pairwiseSalt,
    defaultResource,
    retrySeconds: settings.refreshRetry.seconds,
    retryUnproven: settings.refreshRetry.unproven,
    lifetimes,
    artifacts,
    onReplay,
    singleUse,
    clients,
    resourceServers,
    customers: {
      async claimsOf(id) {
        const customer = await storage.customers.find(id);
        return customer?.status === 'active' ? claimsOf(customer) : undefined;
      },
    },
    pages: hosting.hostedPages,
    outboundFetch: createOutboundFetch(settings.outbound),
    audit,
    metrics,
    logger,
    clock,
    currentRequest,
  });
}

interface Parts {
  storage: Storage;
  hosting: Hosting;
  engine: Engine;
  passwords: PasswordHasher;
}

function createRoutes(settings: AppSettings, deps: AppDependencies, parts: Parts): Router {
  const { issuer, lifetimes } = settings;
  const { metrics, clock } = deps;
  const { storage, hosting, engine, passwords } = parts;
  const { audit, artifacts, clients, resourceServers, customers, throttle } = storage;
  const { pages, csrf } = hosting;
  const provider = () => engine.current();
  const interactions = createInteractions({ provider, artifacts, clients, resourceServers });

  function onOutcome(outcome: string): void {
    metrics.logins.increment({ outcome });
  }
  const login = createLogin({ customers, passwords, throttle, audit, onOutcome });
  const loginPages = createLoginPages({
    ...{ issuer, interactions, login, pages, csrf, audit },
    onCancelled() {
      onOutcome('cancelled');
    },
  });

  async function displayName(id: string): Promise<string | undefined> {
    const profile = (await customers.find(id))?.profile;
    return profile?.name ?? profile?.username;
  }
  const consentPages = createConsentPages({
    issuer,
    interactions,
    displayName,
    pages,
    csrf,
    audit,
    clock,
    grantTtlSeconds: lifetimes.refreshToken,
  });

  const router = new Router();
  dispatchInteraction(router, { interactions, login: loginPages, consent: consentPages });
  loginPages.addRoutes(router);
  consentPages.addRoutes(router);
  acceptByPost(router, issuer);
  settings.developmentRoutes?.(router, pages);
  return router;
}

function cookieKeysOf({ cookieKeys }: AppSettings): string[] {
  return cookieKeys.map((key) => key.toString('base64url'));
}

function hostsOf({ issuer, mtlsOrigin }: AppSettings) {
  return { publicHost: new URL(issuer).host, mtlsHost: new URL(mtlsOrigin).host };
}
