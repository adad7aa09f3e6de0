import type { X509Certificate } from 'node:crypto';

/** A certificate and the one that signed it. */
export interface Link {
  readonly certificate: X509Certificate;
  readonly issuer: X509Certificate;
}

/**
 * The links from the first certificate of `chain` up to a trusted authority, every signature verified; undefined when
 * it does not lead to one. Trusted roots, and intermediates that are trusted without their root, have nobody above who
 * could revoke them. Whether the certificates are valid and may sign is for OpenSSL, which built the chain.
 */
export function linksOf(
  chain: readonly X509Certificate[],
  authorities: readonly X509Certificate[],
): readonly Link[] | undefined {
  const links: Link[] = [];
  let certificate = chain[0];
  while (certificate !== undefined && links.length < maxLinks) {
    const issuer = isSelfIssued(certificate)
      ? undefined
      : [...authorities, ...chain.slice(1)].find((candidate) => signed(candidate, certificate));
    if (issuer === undefined) return isAmong(authorities, certificate) ? links : undefined;
    links.push({ certificate, issuer });
    certificate = issuer;
  }
  return undefined;
}

const maxLinks = 8;

function isSelfIssued(certificate: X509Certificate): boolean {
  return certificate.checkIssued(certificate);
}

function signed(issuer: X509Certificate, certificate: X509Certificate | undefined): boolean {
  return (
    certificate !== undefined &&
    issuer.ca &&
    certificate.checkIssued(issuer) &&
    certificate.verify(issuer.publicKey)
  );
}

function isAmong(authorities: readonly X509Certificate[], certificate: X509Certificate): boolean {
  return authorities.some(({ fingerprint256 }) => fingerprint256 === certificate.fingerprint256);
}
