import { isRegistrationOffered } from '../clients/registration/registration-parts.ts';
import { claimsOf } from '../customers/customer.ts';
import { currentRequest } from '../observability/request-context.ts';
import { createEngine } from '../provider/engine.ts';
import type { SigningKey } from '../provider/ports.ts';
import { createOutboundFetch } from '../security/outbound-fetch.ts';
import { keyedDigest } from '../security/secrets.ts';
import type { CertificateSource } from '../tls/certificate-source.ts';
import { consentsForEngine } from './consents.ts';
import type { Hosting } from './hosting.ts';
import type { RateLimits } from './rate-limits.ts';
import { servedClients } from './served-clients.ts';
import { cookieKeysOf } from './settings.ts';
import type { AppDependencies, AppSettings } from './settings.ts';
import type { Storage } from './storage.ts';

interface EngineParts {
  storage: Storage;
  hosting: Hosting;
  certificates: CertificateSource;
  keys: readonly SigningKey[];
  limits: RateLimits;
}

/** The OpenID engine with what it needs of the slices. */
export function createOpenIdEngine(
  settings: AppSettings,
  { metrics, logger, clock }: AppDependencies,
  { storage, hosting, certificates, keys, limits }: EngineParts,
) {
  const { audit, artifacts, onReplay, singleUse, resourceServers } = storage;
  const { issuer, mtlsOrigin, pairwiseSalt, defaultResource, lifetimes } = settings;
  return createEngine(keys, {
    issuer,
    mtlsOrigin,
    cookieKeys: cookieKeysOf(settings),
    pairwiseSalt,
    defaultResource,
    offersRegistration: isRegistrationOffered(settings.registration),
    retrySeconds: settings.refreshRetry.seconds,
    retryUnproven: settings.refreshRetry.unproven,
    lifetimes,
    artifacts,
    sessions: storage.sessions,
    onReplay,
    singleUse,
    clients: servedClients(settings, storage),
    resourceServers,
    dpop: {
      // Derived, so that there is one secret less to keep.
      nonceSecret: nonceSecretOf(settings.digestKey),
      olderNonceSecrets: settings.olderDigestKeys.map(nonceSecretOf),
      nonceRequired: settings.dpopNonceRequired,
    },
    requests: {
      pushedOnly: settings.minimumProfile !== 'baseline',
      signedOnly: settings.minimumProfile === 'fapi2-message-signing',
    },
    limits: limits.engine,
    customers: {
      async claimsOf(id) {
        const customer = await storage.customers.recall(id);
        return customer?.status === 'active' ? claimsOf(customer) : undefined;
      },
    },
    consents: consentsForEngine(storage, clock),
    consentsRequired: settings.consents.required,
    managedGrants: storage.managedGrants,
    grantActionRequired: settings.grantActionRequired,
    pages: hosting.hostedPages,
    outboundFetch: createOutboundFetch(settings.outbound),
    audit,
    metrics,
    logger,
    clock,
    currentRequest,
    certificates,
  });
}

function nonceSecretOf(digestKey: Buffer): Buffer {
  return keyedDigest(digestKey, 'dpop-nonce', '');
}
