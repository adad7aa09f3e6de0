import type Router from '@koa/router';
import Koa from 'koa';
import { apiKeyApi, createApiKeys } from './assembly/api-keys.ts';
import type { ApiKeys } from './assembly/api-keys.ts';
import { consentApi } from './assembly/consent-api.ts';
import { edgeSteps } from './assembly/edge.ts';
import { createHosting, createPasswords } from './assembly/hosting.ts';
import { keySetReaders } from './assembly/key-set-readers.ts';
import { createOpenIdEngine } from './assembly/open-id-engine.ts';
import type { Parts } from './assembly/parts.ts';
import { createRateLimits } from './assembly/rate-limits.ts';
import { addRegistration } from './assembly/registration.ts';
import { createRoutes } from './assembly/routes.ts';
import { cookieKeysOf } from './assembly/settings.ts';
import type { AppDependencies, AppSettings } from './assembly/settings.ts';
import { createSecurityEvents } from './assembly/security-events.ts';
import { createStorage } from './assembly/storage.ts';
import { isRegistrationOffered } from './clients/registration/registration-parts.ts';
import { isDatabaseUnavailable } from './database/unavailable.ts';
import { prepareCertificate, receiveFromProxies } from './http/arrivals.ts';
import { refuseStrangeOrigins } from './http/cross-origin.ts';
import { securityHeaders } from './http/headers.ts';
import { pinHost } from './http/host.ts';
import { problemResponse } from './http/problem-response.ts';
import { requestLog } from './http/request-log.ts';
import { boundTime } from './http/request-time.ts';
import {
  allowedMethods,
  isApi,
  isForPrograms,
  rejectAlmostEndpoints,
  rejectPagesOverMtls,
} from './provider/doors.ts';
import type { SigningKey } from './provider/ports.ts';
import { scriptedEndpoints } from './provider/routes.ts';
import { stepsUnlessEngine } from './provider/steps.ts';
import { recordKeySetReaders } from './signing-keys/key-set-api.ts';
import { createCertificateSource } from './tls/certificate-source.ts';
import { createRenewableCertificateSource } from './tls/renewable-certificate-source.ts';

/** Builds the authorization server: every part gets what it needs here, and nowhere else. */
export async function createApp(settings: AppSettings, deps: AppDependencies) {
  const storage = createStorage(settings, deps);
  const { audit, clients, consents, resourceServers, customers } = storage;
  const passwords = await createPasswords(settings, deps.metrics);
  const hosting = createHosting(settings);
  const certificates = createRenewableCertificateSource(
    (clientTruststore) => createCertificateSource({ ...settings, ...deps, clientTruststore }),
    settings.clientTruststore,
  );
  const keys = await deps.keyRing.join();
  const limits = await createRateLimits(settings, deps, audit);
  deps.onOpen?.(() => limits.close());
  const engine = createOpenIdEngine(settings, deps, {
    ...{ storage, hosting, certificates, keys, limits },
  });
  const parts = { storage, hosting, engine, passwords, certificates, limits };
  const apiKeys = createApiKeys(settings, { ...deps, storage, ...limits });
  const securityEvents = createSecurityEvents(settings, { ...deps, ...parts });
  const router = createRoutes(settings, deps, parts);
  if (isRegistrationOffered(settings.registration)) {
    addRegistration(router, settings, { ...deps, ...parts });
  }

  const koa = new Koa({ keys: cookieKeysOf(settings), proxy: false });
  koa.on('error', (error: unknown) => {
    deps.logger.error('a response failed', { error });
  });
  const all = { ...parts, apiKeys, securityEvents, router };
  for (const step of stepsOf(settings, deps, all)) koa.use(step);
  return {
    handler: koa.callback(),
    audit,
    clients,
    consents,
    resourceServers,
    eventStreams: storage.eventStreams,
    securityEvents,
    apiKeys,
    limits,
    customers,
    passwords,
    /** Writes down when sessions and consents were used last, which waits for company otherwise. */
    flushMoments: () => Promise.all([storage.sessions.flush(), storage.consentUses.flush()]),
    /** Goes on with other authorities of client certificates. */
    replaceTruststore: (pem: string) => {
      certificates.replaceTruststore(pem);
    },
    /** Goes on with other signing keys. */
    replaceKeys: (keys: readonly SigningKey[]) => {
      engine.replaceKeys(keys);
    },
  };
}

interface StepParts extends Parts {
  apiKeys: ApiKeys;
  securityEvents: { middleware: Koa.Middleware };
  router: Router;
}

/** What each request passes, in this order. */
function stepsOf(settings: AppSettings, deps: AppDependencies, parts: StepParts): Koa.Middleware[] {
  const { storage, hosting, certificates, limits, securityEvents, router, engine } = parts;
  return [
    requestLog(deps), // first: every later log line carries the request id
    securityHeaders({ ...settings, isForPrograms }), // before errors become responses, so that those have them too
    problemResponse({
      ...deps,
      ...hosting.hostedPages,
      isDatabaseUnavailable,
      allowedMethods,
      isForPrograms,
      isApi,
    }),
    boundTime(settings.requestTimeMs, deps.logger), // before anything that may wait for somebody
    receiveFromProxies(certificates, hostsOf(settings)), // before anything reads what only proxies may say
    ...edgeSteps(settings, { ...deps, ...parts }), // before hosts are pinned: Envoy sends its caller's
    pinHost(hostsOf(settings)), // before anything that builds a URL
    rejectPagesOverMtls, // browsers must never be asked for a certificate
    prepareCertificate(certificates), // before the engine, which asks for it without waiting
    rejectAlmostEndpoints, // before the engine, which is lenient about letters and slashes
    limits.step, // once it is known what a path is, and before it costs anything
    recordKeySetReaders(keySetReaders(settings, deps, parts)), // what they got decides when a key may sign
    stepsUnlessEngine([
      consentApi(settings, { ...deps, ...parts }),
      securityEvents.middleware,
      apiKeyApi(settings, { ...deps, ...parts }),
      hosting.assets.middleware,
      router.routes() as unknown as Koa.Middleware,
    ]),
    refuseStrangeOrigins({
      endpoints: scriptedEndpoints,
      isKnown: (origin, whose) => storage.browserOrigins.has(origin, whose),
    }), // before the engine, which answers preflights of any origin
    engine.middleware,
  ];
}

/** The running authorization server's parts that the process and the operators' commands use. */
export type App = Awaited<ReturnType<typeof createApp>>;

function hostsOf({ issuer, mtlsOrigin }: AppSettings) {
  return { publicHost: new URL(issuer).host, mtlsHost: new URL(mtlsOrigin).host };
}
