import type { X509Certificate } from 'node:crypto';
import { extensionValue } from '../certificate-fields.ts';
import { decodeObjectIdentifier, derChildren, derTag, readDer, type DerElement } from '../der.ts';

/** Where a certificate says that its status can be learnt. */
export interface RevocationPointers {
  /** Addresses of OCSP responders (RFC 5280 §4.2.2.1), http or https. */
  readonly responders: readonly string[];
  /** Addresses of revocation lists for all reasons, signed by the issuer (RFC 5280 §4.2.1.13). */
  readonly lists: readonly string[];
  /** Whether it names any, also such as we don't use: LDAP, lists of other issuers. */
  readonly any: boolean;
}

/** Reads the pointers of a certificate, once. Throws Problem('certificate_invalid') when they are malformed. */
export function revocationPointersOf(certificate: X509Certificate): RevocationPointers {
  const known = pointers.get(certificate) ?? readPointers(certificate.raw);
  pointers.set(certificate, known);
  return known;
}

const pointers = new WeakMap<X509Certificate, RevocationPointers>();

function readPointers(certificate: Buffer): RevocationPointers {
  const responders = respondersOf(extensionValue(certificate, authorityInformationId));
  const points = extensionValue(certificate, distributionPointsId);
  return {
    responders: usable(responders),
    lists: usable(points === undefined ? [] : listsOf(points)),
    any: responders.length > 0 || points !== undefined,
  };
}

/** The URIs in the fullName of a DistributionPointName (RFC 5280 §4.2.1.13), `[0]` around it included. */
export function uriNames(point: DerElement): string[] {
  return derChildren(point, pointTag)
    .filter(({ tag }) => tag === fullNameTag)
    .flatMap((fullName) => derChildren(fullName, fullNameTag))
    .filter(({ tag }) => tag === uriTag)
    .map(({ content }) => content.toString('latin1'));
}

const distributionPointsId = '2.5.29.31';
const authorityInformationId = '1.3.6.1.5.5.7.1.1';
const ocspId = '1.3.6.1.5.5.7.48.1';
const pointTag = 0xa0;
const fullNameTag = 0xa0;
const uriTag = 0x86;
/** More would be requests that a certificate makes us send. */
const maxAddresses = 3;
const maxAddressLength = 2048;

function respondersOf(extension: Buffer | undefined): string[] {
  if (extension === undefined) return [];
  return derChildren(readDer(extension), derTag.sequence).flatMap((description) => {
    const [method, location] = derChildren(description, derTag.sequence);
    const isOcsp =
      method?.tag === derTag.objectIdentifier && decodeObjectIdentifier(method.content) === ocspId;
    return isOcsp && location?.tag === uriTag ? [location.content.toString('latin1')] : [];
  });
}

/** A point with `reasons` or `cRLIssuer` has further members: what it names is not the issuer's whole list. */
function listsOf(extension: Buffer): string[] {
  return derChildren(readDer(extension), derTag.sequence).flatMap((point) => {
    const [name, ...restrictions] = derChildren(point, derTag.sequence);
    return name?.tag === pointTag && restrictions.length === 0 ? uriNames(name) : [];
  });
}

function usable(addresses: readonly string[]): string[] {
  return addresses
    .filter((address) => address.length <= maxAddressLength && /^https?:\/\//i.test(address))
    .filter((address) => URL.canParse(address))
    .slice(0, maxAddresses);
}
