import { X509Certificate, createPrivateKey } from 'node:crypto';
import type { Server } from 'node:https';
import type { Clock } from '../clock.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import { Problem } from '../problem.ts';
import { replaceCertificates } from '../tls/listeners.ts';
import { readTruststore } from '../tls/truststore.ts';
import type { Material } from './material.ts';
import { listenersCertificates } from './named-certificates.ts';
import type { NamedCertificate } from './named-certificates.ts';

/** What the listeners prove themselves with and whom they trust, as PEM. */
export type CertificateTexts = Pick<
  Material,
  'tlsCertificate' | 'tlsPrivateKey' | 'clientTruststore'
>;

/** The certificates of the listeners, which may be exchanged while they serve. */
export interface ServedCertificates {
  /** Reads the files again now, and exchanges what has changed. Never throws: what is bad is told, and the old stays. */
  reload(): void;
  /** Looks at the files regularly, until it is stopped. */
  start(): void;
  stop(): Promise<void>;
}

interface Dependencies {
  servers: { public: Server; mtls: Server };
  initial: CertificateTexts;
  /** Certificates that are measured as well, and stay as they are. */
  further: readonly NamedCertificate[];
  /** Told of another truststore, PEM. */
  onTruststore: (clientTruststore: string) => void;
  /** The texts as the settings' files have them now; throws when they can't be read. */
  read: () => CertificateTexts;
  clock: Clock;
  logger: Logger;
  metrics: Metrics;
}

/** Kubernetes takes a minute to bring a changed secret into a container; looking costs three small reads. */
const lookMs = 5000;

/** Watches over the certificates of both listeners. */
export function createServedCertificates(deps: Dependencies): ServedCertificates {
  const { initial, further, read, onTruststore, clock, logger, metrics } = deps;
  const warn = createExpiryWarnings(deps);
  let texts = initial;
  const withFurther = (now: CertificateTexts) => [...listenersCertificates(now, clock), ...further];
  let named = withFurther(initial);
  let refused = '';
  let timer: NodeJS.Timeout | undefined;

  function reload(): void {
    let found = '';
    try {
      const next = read();
      found = versionOf(next);
      if (found === versionOf(texts) || found === refused) return;
      exchange(next, deps);
      if (next.clientTruststore !== texts.clientTruststore) onTruststore(next.clientTruststore);
      texts = next;
      named = withFurther(next);
      refused = '';
      logger.info('The certificates were exchanged', endsOf(named));
    } catch (error) {
      // Once for each content: a bad file is looked at time and again.
      const version = found === '' ? 'unreadable' : found;
      if (version === refused) return;
      refused = version;
      metrics.certificateReloadsRefused.increment({});
      logger.error('New certificates were refused; the old ones stay', {
        reason: reasonOf(error),
      });
    }
  }

  metrics.onScrape(() => {
    for (const { name, certificate } of named) {
      metrics.certificateExpirySeconds.set({ name }, secondsLeft(certificate, clock));
    }
  });

  return {
    reload,
    start() {
      warn(named);
      timer ??= setInterval(() => {
        reload();
        warn(named);
      }, lookMs).unref();
    },
    stop() {
      clearInterval(timer);
      return Promise.resolve();
    },
  };
}

function exchange(next: CertificateTexts, { servers, clock, logger }: Dependencies): void {
  const certificate = new X509Certificate(next.tlsCertificate);
  if (!certificate.checkPrivateKey(createPrivateKey(next.tlsPrivateKey))) {
    throw refusedBecause('the private key does not belong to the server certificate');
  }
  if (secondsLeft(certificate, clock) <= 0)
    throw refusedBecause('the server certificate has expired');
  if (certificate.validFromDate > clock.now()) {
    throw refusedBecause('the server certificate is not valid yet');
  }
  const truststore = readTruststore(next.clientTruststore, clock);
  for (const warning of truststore.warnings) logger.warn('client truststore', { warning });
  const own = { certificatePem: next.tlsCertificate, privateKeyPem: next.tlsPrivateKey };
  replaceCertificates(servers.public, own);
  replaceCertificates(servers.mtls, { ...own, truststore: truststore.certificates });
}

/** Days before the end at which it is told, once each. */
const warningDays = [30, 7, 1, 0] as const;

function createExpiryWarnings({ clock, logger }: Pick<Dependencies, 'clock' | 'logger'>) {
  const told = new Map<string, number>();
  return (certificates: readonly NamedCertificate[]): void => {
    for (const { name, certificate } of certificates) {
      const days = secondsLeft(certificate, clock) / 86_400;
      const threshold = warningDays.findLast((limit) => days <= limit);
      const key = `${name} ${certificate.fingerprint256}`;
      if (threshold === undefined || (told.get(key) ?? Infinity) <= threshold) continue;
      told.set(key, threshold);
      const expiresAt = certificate.validToDate.toISOString();
      logger.warn('A certificate expires soon', { certificate: name, expiresAt });
    }
  };
}

function endsOf(certificates: readonly NamedCertificate[]): Record<string, string> {
  return Object.fromEntries(
    certificates.map(({ name, certificate }) => [name, certificate.validToDate.toISOString()]),
  );
}

function secondsLeft({ validToDate }: X509Certificate, clock: Clock): number {
  return (validToDate.getTime() - clock.now().getTime()) / 1000;
}

function versionOf({ tlsCertificate, tlsPrivateKey, clientTruststore }: CertificateTexts): string {
  return JSON.stringify([tlsCertificate, tlsPrivateKey, clientTruststore]);
}

function refusedBecause(detail: string): Problem {
  return new Problem('certificate_invalid', { detail });
}

/** OpenSSL's reasons say nothing of the text, so no key gets out by them. */
function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
