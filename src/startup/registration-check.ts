import { X509Certificate } from 'node:crypto';
import { examinationOf } from '../clients/registration/registration-parts.ts';
import type { PresentedCertificate } from '../clients/registration/registration-ports.ts';
import type { Clock } from '../clock.ts';
import type { Configuration } from '../config/schema.ts';
import { developmentFiles } from '../development/material.ts';
import { createPrivateFiles } from '../development/private-files.ts';
import { Problem } from '../problem.ts';
import { createOutboundFetch } from '../security/outbound-fetch.ts';
import { findCertificatePath } from '../tls/certificate-path.ts';
import { certificateFacts, judgeCertificate } from '../tls/client-certificate.ts';
import { qwacRoles } from '../tls/qc-statements.ts';
import { readTruststore } from '../tls/truststore.ts';
import { outboundLimits } from './app-settings.ts';
import { registrationSettings } from './registration-settings.ts';
import { sandboxDirectories } from './sandbox.ts';

/** What judges a registration as a server with this configuration would; `onlyDirectory` leaves the others out. */
export function registrationCheck(
  { configuration, clock }: { configuration: Configuration; clock: Clock },
  onlyDirectory?: string,
) {
  const { issuer, minimumProfile } = configuration;
  const files = createPrivateFiles(configuration.keysDirectory);
  const settings = registrationSettings(configuration, sandboxDirectories(configuration, files));
  const directories = settings.directories.filter(
    (directory) => onlyDirectory === undefined || directory.issuer === onlyDirectory,
  );
  if (onlyDirectory !== undefined && directories.length === 0) {
    const detail = `${onlyDirectory} is not among the directories`;
    throw new Problem('configuration_invalid', { detail });
  }
  return {
    examine: examinationOf({
      settings: { ...settings, directories },
      issuer,
      minimumProfile,
      rolesOfCertificate: qwacRoles,
      fetch: createOutboundFetch(outboundLimits(configuration)),
      clock,
    }),
    certificateOf: (pem: string) => presented(pem, configuration, clock),
  };
}

const block = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/** The first certificate of the PEM as if it had come in a handshake, the others behind it. */
function presented(pem: string, configuration: Configuration, clock: Clock): PresentedCertificate {
  const [leaf, ...sent] = (pem.match(block) ?? []).map(parsed);
  if (leaf === undefined) {
    throw new Problem('certificate_invalid', { detail: 'there is no certificate in the file' });
  }
  const truststore = truststoreOf(configuration, clock);
  const path = findCertificatePath(leaf, { sent, truststore }, clock.now());
  const refusals = 'refusal' in path ? [`the chain is not trusted (${path.refusal})`] : [];
  return judgeCertificate(certificateFacts(leaf, [leaf, ...sent], refusals), clock);
}

function parsed(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (cause) {
    throw new Problem('certificate_invalid', { detail: 'a certificate is broken', cause });
  }
}

/** The configured authorities, or in development the created one, if there is one yet. */
function truststoreOf(configuration: Configuration, clock: Clock): X509Certificate[] {
  const { clientTruststore, environment, keysDirectory } = configuration;
  const created =
    environment === 'production'
      ? undefined
      : createPrivateFiles(keysDirectory).read(developmentFiles.authority);
  const pem = clientTruststore ?? created;
  if (pem === undefined) return [];
  return readTruststore(pem, clock).certificates.map((one) => new X509Certificate(one));
}
