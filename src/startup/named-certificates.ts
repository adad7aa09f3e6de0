import { X509Certificate } from 'node:crypto';
import type { Clock } from '../clock.ts';
import type { Configuration } from '../config/schema.ts';
import { readTruststore } from '../tls/truststore.ts';

/** A certificate that the service stands on, by the name that metrics and warnings have for it. */
export interface NamedCertificate {
  name: string;
  certificate: X509Certificate;
}

/** What the listeners use: the server's own, and of the authorities the first to end. */
export function listenersCertificates(
  texts: { tlsCertificate: string; clientTruststore: string },
  clock: Clock,
): NamedCertificate[] {
  return [
    ...own('server', texts.tlsCertificate),
    ...authorities('client_authorities', texts.clientTruststore, clock),
  ];
}

/**
 * What else is configured: whom we prove ourselves to by a certificate, and whose we trust. What can't be read is left
 * out: it is only measured here.
 */
export function furtherCertificates(
  configuration: Configuration,
  clock: Clock,
): NamedCertificate[] {
  return [
    ...readable('accounts_client', configuration.accountsCertificate),
    ...readable('key_service_client', configuration.signerCertificate),
    ...firstToEnd('key_service_authorities', configuration.signerTruststore, clock),
    ...firstToEnd('outbound_authorities', configuration.outboundTruststore, clock),
    ...firstToEnd('proxy_authorities', configuration.proxyTruststore, clock),
  ];
}

function own(name: string, pem: string | undefined): NamedCertificate[] {
  return pem === undefined ? [] : [{ name, certificate: new X509Certificate(pem) }];
}

/** The first of the authorities to end: those that it issued to are refused from then on. */
function authorities(name: string, pem: string | undefined, clock: Clock): NamedCertificate[] {
  if (pem === undefined) return [];
  const [first] = readTruststore(pem, clock)
    .certificates.map((text) => new X509Certificate(text))
    .toSorted((a, b) => a.validToDate.getTime() - b.validToDate.getTime());
  return first === undefined ? [] : [{ name, certificate: first }];
}

/** The first of a chain, which is our own. */
function readable(name: string, pem = ''): NamedCertificate[] {
  return certificatesIn(pem)
    .slice(0, 1)
    .map((certificate) => ({ name, certificate }));
}

/**
 * As {@link authorities}, but of what other hosts are checked by, where a pinned certificate need not be an authority's.
 * Where all have ended, the last of them to do so.
 */
function firstToEnd(name: string, pem: string | undefined, clock: Clock): NamedCertificate[] {
  const sorted = certificatesIn(pem ?? '').toSorted(
    (a, b) => a.validToDate.getTime() - b.validToDate.getTime(),
  );
  const certificate = sorted.find(({ validToDate }) => validToDate >= clock.now()) ?? sorted.at(-1);
  return certificate === undefined ? [] : [{ name, certificate }];
}

const block = /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]*-----END [A-Z0-9 ]+-----/g;

function certificatesIn(pem: string): X509Certificate[] {
  return (pem.match(block) ?? []).flatMap((text) => {
    try {
      return new X509Certificate(text);
    } catch {
      return [];
    }
  });
}

/** Settings with certificates of which not one can be read, a sentence each. */
export function certificateProblems(configuration: Configuration): string[] {
  const settings = [
    ['COUNTERSIGN_ACCOUNTS_CERTIFICATE', configuration.accountsCertificate],
    ['COUNTERSIGN_SIGNER_CERTIFICATE', configuration.signerCertificate],
    ['COUNTERSIGN_SIGNER_TRUSTSTORE', configuration.signerTruststore],
    ['COUNTERSIGN_OUTBOUND_TRUSTSTORE', configuration.outboundTruststore],
  ] as const;
  return settings.flatMap(([variable, pem]) =>
    pem === undefined || certificatesIn(pem).length > 0
      ? []
      : [`${variable} can't be read: give it as PEM`],
  );
}
