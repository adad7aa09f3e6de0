import { X509Certificate } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { Problem } from '../problem.ts';
import { formatDistinguishedName } from './names/distinguished-name-text.ts';
import { distinguishedNameOf } from './names/distinguished-name.ts';

/** The authorities whose client certificates are trusted. */
export interface Truststore {
  /** PEM, one certificate each, without duplicates and without expired ones. */
  readonly certificates: readonly string[];
  /** Their subjects as RFC 4514 text, in the same order. */
  readonly subjects: readonly string[];
  /** Sentences for the log: which certificates were left out or are not valid yet. */
  readonly warnings: readonly string[];
}

/**
 * Reads a PEM file of certificate authorities; text between the blocks is ignored. Throws
 * Problem('certificate_invalid') when nothing usable is in it, when a certificate is broken or not
 * an authority's, and when there is anything but certificates, a private key above all.
 */
export function readTruststore(pem: string, clock: Clock): Truststore {
  const authorities = new Map<string, X509Certificate>();
  for (const block of pemBlocks(pem)) {
    const certificate = readAuthority(block);
    authorities.set(certificate.fingerprint256, certificate);
  }
  const now = clock.now();
  const all = [...authorities.values()];
  const usable = all.filter(({ validToDate }) => validToDate >= now);
  if (usable.length === 0) {
    throw refused(all.length === 0 ? 'there is no certificate in it' : 'all of it has expired');
  }
  return {
    certificates: usable.map((certificate) => certificate.toString()),
    subjects: usable.map(subjectText),
    warnings: all.flatMap((certificate) => validityWarnings(certificate, now)),
  };
}

const blockPattern = /-----BEGIN ([^\n-]+)-----[^-]*(?:-----END \1-----)?/g;

function pemBlocks(pem: string): string[] {
  return [...pem.matchAll(blockPattern)].map(([block, label = '']) => {
    if (label.endsWith('PRIVATE KEY')) {
      throw refused('there is a private key in it, which has to be treated as disclosed');
    }
    if (label !== 'CERTIFICATE') throw refused(`there is a ${JSON.stringify(label)} in it`);
    return block;
  });
}

function readAuthority(block: string): X509Certificate {
  const certificate = parseCertificate(block);
  if (certificate.ca) return certificate;
  throw refused(`${subjectText(certificate)} is not a certificate authority`);
}

function parseCertificate(block: string): X509Certificate {
  try {
    return new X509Certificate(block);
  } catch (cause) {
    throw new Problem('certificate_invalid', {
      detail: 'The truststore is refused: a certificate in it cannot be read.',
      cause,
    });
  }
}

function validityWarnings(certificate: X509Certificate, now: Date): string[] {
  const { validFromDate, validToDate } = certificate;
  if (validToDate < now) {
    return [`${subjectText(certificate)} expired at ${validToDate.toISOString()} and is left out`];
  }
  if (validFromDate <= now) return [];
  return [`${subjectText(certificate)} is not valid before ${validFromDate.toISOString()}`];
}

function subjectText(certificate: X509Certificate): string {
  return formatDistinguishedName(distinguishedNameOf(certificate));
}

function refused(why: string): Problem {
  return new Problem('certificate_invalid', { detail: `The truststore is refused: ${why}.` });
}
