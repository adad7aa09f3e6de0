import { X509Certificate } from 'node:crypto';
import { bounds } from '../bounds.ts';
import type { Clock } from '../clock.ts';
import type { Configuration } from '../config/schema.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import { createOutboundFetch } from '../security/outbound-fetch.ts';
import { createRevocation } from '../tls/revocation/revocation.ts';
import type { RevocationService, RevocationSettings } from '../tls/revocation/revocation.ts';
import { readTruststore } from '../tls/truststore.ts';

interface Dependencies {
  clock: Clock;
  logger: Logger;
  metrics: Pick<
    Metrics,
    'revocationChecks' | 'revocationFailures' | 'revocationListAgeSeconds' | 'onScrape'
  >;
}

/** Checks for revoked certificates, of authorities that may be exchanged while it serves. */
export interface RenewableRevocation extends Pick<RevocationService, 'check' | 'preload'> {
  /** Goes on with other authorities (PEM), and reads the configured lists anew. Problem('certificate_invalid'). */
  replaceTruststore(clientTruststore: string): void;
}

/** How long a failure or an answer that is about to end is kept before anybody is asked again. */
const floorSeconds = 60;
const maxLabelLength = 64;

/** Checks for revoked certificates as the configuration says, counted; `clientTruststore` is PEM. */
export function createRenewableRevocation(
  configuration: Configuration,
  clientTruststore: string,
  deps: Dependencies,
): RenewableRevocation {
  const { clock, logger, metrics } = deps;
  if (configuration.revocationMode === 'off') {
    logger.warn('Client certificates are not checked for revocation');
  }
  const build = (pem: string) =>
    createConfiguredRevocation(configuration, readTruststore(pem, clock).certificates, deps);
  let service = build(clientTruststore);
  metrics.onScrape(() => {
    for (const [source, seconds] of service.listAges()) {
      metrics.revocationListAgeSeconds.set({ source: source.slice(-maxLabelLength) }, seconds);
    }
  });
  return {
    check: (chain) => service.check(chain),
    preload: () => service.preload(),
    replaceTruststore(pem) {
      // At once: until the lists are there requests wait for them, where the old service would refuse new authorities.
      service = build(pem);
      void service.preload(); // it never rejects
    },
  };
}

function createConfiguredRevocation(
  configuration: Configuration,
  truststore: readonly string[],
  { clock, logger, metrics }: Dependencies,
): RevocationService {
  return createRevocation(revocationSettings(configuration), {
    clock,
    logger,
    authorities: truststore.map((pem) => new X509Certificate(pem)),
    fetch: createOutboundFetch({
      allowedHosts: configuration.outboundAllow,
      truststorePem: configuration.outboundTruststore,
      timeoutMs: configuration.revocationTimeoutMs,
      maxBodyBytes: bounds.answers.maxRevocationListBytes,
      plainHttp: true,
    }),
    onOutcome(outcome) {
      metrics.revocationChecks.increment({ outcome });
    },
    onFailure(method) {
      metrics.revocationFailures.increment({ method });
    },
  });
}

function revocationSettings(configuration: Configuration): RevocationSettings {
  const { environment, revocationWithoutSource, revocationFromCertificate } = configuration;
  const withoutSource =
    revocationWithoutSource ?? (environment === 'production' ? 'refuse' : 'accept');
  const shared = {
    fromCertificates: revocationFromCertificate,
    floorSeconds,
    ceilingSeconds: configuration.revocationCeilingSeconds,
  };
  return {
    mode: configuration.revocationMode,
    methods: configuration.revocationMethods,
    acceptWithoutSource: withoutSource === 'accept',
    lists: {
      ...shared,
      files: configuration.revocationListFiles,
      urls: configuration.revocationListUrls,
    },
    ocsp: { ...shared, responderUrl: configuration.ocspUrl },
  };
}
