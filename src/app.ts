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
import type { PasswordHashCost, PasswordHashLimits } from './customers/password.ts';
import type { Database } from './database/client.ts';
import { isDatabaseUnavailable } from './database/unavailable.ts';
import { createAssets } from './http/assets.ts';
import { createCsrf } from './http/csrf.ts';
import { securityHeaders } from './http/headers.ts';
import { pinHost } from './http/host.ts';
import { createLocales } from './http/locale.ts';
import { createPages } from './http/pages.ts';
import { problemResponse } from './http/problem-response.ts';
import { createRenderer } from './http/render.ts';
import { requestLog } from './http/request-log.ts';
import type { Logger } from './observability/logger.ts';
import type { Metrics } from './observability/metrics.ts';
import { currentRequest } from './observability/request-context.ts';
import { createArtifactStore } from './provider/artifact-store.ts';
import { rejectAlmostEndpoints, rejectPagesOverMtls, allowedMethods } from './provider/doors.ts';
import { createEngine } from './provider/engine.ts';
import { createInteractions } from './provider/interactions.ts';
import { dispatchInteraction } from './provider/interaction-routes.ts';
import { createHostedPages } from './provider/hosted-pages.ts';
import type { Lifetimes } from './provider/ports.ts';
import { createSingleUseStore } from './provider/single-use-store.ts';
import { createResourceServerStore } from './resource-servers/resource-server-store.ts';
import { createEncryption } from './security/encryption.ts';

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
  lifetimes: Lifetimes;
  passwordHash: PasswordHashCost & PasswordHashLimits;
  brand: { name: string; helpUrl?: string | undefined; logoFile?: string; themeFile?: string };
  viewsDirectory: string;
  hstsMaxAgeSeconds: number;
  /** Adds routes that exist in development only. */
  developmentRoutes?: (router: Router, pages: ReturnType<typeof createPages>) => void;
}

/** What the app stands on. */
export interface AppDependencies {
  database: Database;
  logger: Logger;
  metrics: Metrics;
  clock: Clock;
}

/** How long a client or resource server may be remembered after another process changed it. */
const cacheTtlMs = 1000;

/** Builds the authorization server: every part gets what it needs here, and nowhere else. */
export async function createApp(settings: AppSettings, deps: AppDependencies) {
  const { database, logger, metrics, clock } = deps;
  const { prisma } = database;
  const { issuer, mtlsOrigin, digestKey } = settings;
  const encryption = createEncryption(settings.encryptionKeys);
  const cookieKeys = settings.cookieKeys.map((key) => key.toString('base64url'));

  const audit = createAuditTrail({ store: createAuditStore(prisma), ...deps, ...auditLimits });
  const clients = createClientStore({ prisma, digestKey, cacheTtlMs });
  const resourceServers = createResourceServerStore({ prisma, cacheTtlMs });
  const customers = createCustomerStore({ prisma, encryption, digestKey });
  const singleUse = createSingleUseStore(prisma);
  const artifacts = createArtifactStore({
    prisma,
    encryption,
    clock,
    onReplay(kind) {
      const actor = { type: 'client' } as const;
      audit.record({ type: 'replay.detected', outcome: 'refused', actor, detail: { kind } });
    },
  });
  const passwords = await createPasswordHasher(settings.passwordHash, settings.passwordHash, {
    onDuration: (seconds) => { metrics.passwordHashSeconds.observe({}, seconds); },
    onPending: (count) => { metrics.passwordHashQueue.set({}, count); },
  });

  const { viewsDirectory } = settings;
  const locales = createLocales(`${viewsDirectory}/locales`);
  const { name, helpUrl, ...brandFiles } = settings.brand;
  const assets = createAssets({ directory: `${viewsDirectory}/assets`, ...brandFiles });
  const brand = { name, helpUrl, logoUrl: assets.logoUrl, themeUrl: assets.themeUrl };
  const renderer = createRenderer({ viewsDirectory, locales, brand });
  const pages = createPages(renderer, locales);
  const hostedPages = createHostedPages(pages);
  const csrf = createCsrf(settings.cookieKeys[0] ?? Buffer.alloc(0));

  const engine = createEngine(settings.signingKeys, {
    issuer,
    mtlsOrigin,
    cookieKeys,
    pairwiseSalt: settings.pairwiseSalt,
    defaultResource: settings.defaultResource,
    lifetimes: settings.lifetimes,
    artifacts,
    singleUse,
    clients,
    resourceServers,
    customers: { claimsOf: activeClaims },
    pages: hostedPages,
    audit,
    metrics,
    logger,
    clock,
    currentRequest,
  });
  const provider = () => engine.current();
  const interactions = createInteractions({ provider, artifacts, clients, resourceServers });
  const throttle = createLoginThrottle({ prisma, digestKey, clock });
  const onOutcome = (outcome: string) => { metrics.logins.increment({ outcome }); };
  const login = createLogin({ customers, passwords, throttle, audit, onOutcome });
  const loginPages = createLoginPages({ issuer, interactions, login, pages, csrf, audit });
  const consentPages = createConsentPages({
    issuer,
    interactions,
    displayName,
    pages,
    csrf,
    audit,
    clock,
    grantTtlSeconds: settings.lifetimes.refreshToken,
  });

  async function activeClaims(id: string) {
    const customer = await customers.find(id);
    return customer?.status === 'active' ? claimsOf(customer) : undefined;
  }

  async function displayName(id: string) {
    const profile = (await customers.find(id))?.profile;
    return profile?.name ?? profile?.username;
  }

  const router = new Router();
  dispatchInteraction(router, { interactions, login: loginPages, consent: consentPages });
  loginPages.addRoutes(router);
  consentPages.addRoutes(router);
  settings.developmentRoutes?.(router, pages);

  const koa = new Koa({ keys: cookieKeys, proxy: false });
  koa.on('error', (error: unknown) => { logger.error('a response failed', { error }); });
  const hosts = { publicHost: new URL(issuer).host, mtlsHost: new URL(mtlsOrigin).host };
  const { renderErrorPage } = hostedPages;
  const steps: Koa.Middleware[] = [
    requestLog({ logger, metrics }), // first: every later log line carries the request id
    securityHeaders(settings), // before errors become responses, so that those have them too
    problemResponse({ logger, renderErrorPage, isDatabaseUnavailable, allowedMethods }),
    pinHost(hosts), // before anything that builds a URL
    rejectPagesOverMtls, // browsers must never be asked for a certificate
    rejectAlmostEndpoints, // before the engine, which is lenient about letters and slashes
    assets.middleware,
    router.routes() as unknown as Koa.Middleware,
    engine.middleware,
  ];
  for (const step of steps) koa.use(step);

  return { handler: koa.callback(), audit, clients, resourceServers, customers, passwords };
}

/** The running authorization server's parts that the process and the operators' commands use. */
export type App = Awaited<ReturnType<typeof createApp>>;

/** A row waits 50 ms at most for others to share its commit with; 50,000 rows are about 50 MB. */
const auditLimits = { maxQueue: 50_000, flushIntervalMs: 50, batchSize: 500 };
