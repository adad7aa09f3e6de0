import { X509Certificate } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { proxyRuleProblems } from '../config/invariants.ts';
import type { Configuration } from '../config/schema.ts';
import { isDevelopmentCertificate } from '../development/certificate-authority.ts';
import { Problem } from '../problem.ts';
import { readTruststore } from '../tls/truststore.ts';

/**
 * Why proxies can't be told from everybody else as configured, a sentence with its remedy each; in
 * development too, because a header that is believed from anybody is no certificate anywhere.
 */
export function proxyProblems(configuration: Configuration, clock: Clock): string[] {
  const { proxyTruststore, clientTruststore } = configuration;
  const found = proxyRuleProblems(configuration);
  if (proxyTruststore === undefined) return found;
  try {
    const proxies = keysIn(proxyTruststore, clock);
    const clients = clientTruststore === undefined ? [] : keysIn(clientTruststore, clock);
    const isShared = proxies.some((key) => clients.includes(key));
    const isOfDevelopment = isDevelopmentCertificate(proxyTruststore);
    return isShared || isOfDevelopment ? [...found, sharedAuthority] : found;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return [...found, `COUNTERSIGN_PROXY_TRUSTSTORE: ${error.detail ?? error.message}`];
  }
}

const sharedAuthority =
  "COUNTERSIGN_PROXY_TRUSTSTORE holds an authority that issues to clients too, which could be given a proxy's name: let an authority of its own issue to proxies";

/** The authorities' public keys, by which one is known through every certificate it has. */
function keysIn(pem: string, clock: Clock): string[] {
  return readTruststore(pem, clock).certificates.map((certificate) =>
    new X509Certificate(certificate).publicKey
      .export({ type: 'spki', format: 'der' })
      .toString('base64'),
  );
}
