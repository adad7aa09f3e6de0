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

/** What else is configured: whom we prove ourselves to by a certificate, and whose we trust. */
export function furtherCertificates(
  configuration: Configuration,
  clock: Clock,
): NamedCertificate[] {
  return [
    ...own('accounts_client', configuration.accountsCertificate),
    ...own('key_service_client', configuration.signerCertificate),
    ...authorities('key_service_authorities', configuration.signerTruststore, clock),
    ...authorities('outbound_authorities', configuration.outboundTruststore, clock),
    ...authorities('proxy_authorities', configuration.proxyTruststore, clock),
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
