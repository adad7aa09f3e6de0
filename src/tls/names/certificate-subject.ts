import type { X509Certificate } from 'node:crypto';
import { Problem } from '../../problem.ts';
import { formatDistinguishedName, parseDistinguishedName } from './distinguished-name-text.ts';
import { distinguishedNameOf, sameDistinguishedName } from './distinguished-name.ts';
import { ipAddressBytes } from '../ip-address.ts';
import { subjectAlternativeNamesOf } from './subject-alternative-names.ts';

/** The client metadata that says which certificate is the client's (RFC 8705 §2.1.2). */
export type CertificateSubjectProperty =
  | 'tls_client_auth_subject_dn'
  | 'tls_client_auth_san_dns'
  | 'tls_client_auth_san_uri'
  | 'tls_client_auth_san_ip'
  | 'tls_client_auth_san_email';

/**
 * Whether the certificate carries the registered value. Names by distinguishedNameMatch; host names
 * without regard to case and without wildcards; URIs exactly; addresses as bytes; e-mail with an
 * exact local part and a case-insensitive domain. A certificate or value that cannot be read
 * matches nothing; this never throws.
 */
export function certificateSubjectMatches(
  certificate: X509Certificate,
  property: CertificateSubjectProperty,
  expected: string,
): boolean {
  const known = verdictsOf(certificate);
  const key = `${property} ${expected}`;
  const verdict = known.get(key) ?? matches(certificate, property, expected);
  if (known.size >= maxVerdicts) known.clear();
  known.set(key, verdict);
  return verdict;
}

/** A certificate that many clients' names are tried with must not fill the memory. */
const maxVerdicts = 64;

/** Nothing in them changes, and parsing both names again for every request costs 40 µs. */
const verdicts = new WeakMap<X509Certificate, Map<string, boolean>>();

function verdictsOf(certificate: X509Certificate): Map<string, boolean> {
  const known = verdicts.get(certificate) ?? new Map<string, boolean>();
  verdicts.set(certificate, known);
  return known;
}

function matches(
  certificate: X509Certificate,
  property: CertificateSubjectProperty,
  expected: string,
): boolean {
  try {
    return matchers[property](certificate, expected);
  } catch (error) {
    if (error instanceof Problem) return false;
    throw error;
  }
}

/** Both sides of a mismatch in one line for the log; the certificate's names are quoted. */
export function explainSubjectMismatch(
  certificate: X509Certificate,
  property: CertificateSubjectProperty,
  expected: string,
): string {
  return `${property} is registered as ${quote([expected])}, the certificate has ${presented(certificate, property)}`;
}

type Matcher = (certificate: X509Certificate, expected: string) => boolean;

const matchers = {
  tls_client_auth_subject_dn: (certificate, expected) =>
    sameDistinguishedName(parseDistinguishedName(expected), distinguishedNameOf(certificate)),
  tls_client_auth_san_dns: ({ raw }, expected) =>
    subjectAlternativeNamesOf(raw).dns.some((name) => sameHostName(name, expected)),
  tls_client_auth_san_uri: ({ raw }, expected) =>
    subjectAlternativeNamesOf(raw).uri.includes(expected),
  tls_client_auth_san_ip: ({ raw }, expected) => {
    const bytes = ipAddressBytes(expected);
    return bytes !== undefined && subjectAlternativeNamesOf(raw).ip.includes(bytes);
  },
  tls_client_auth_san_email: ({ raw }, expected) =>
    subjectAlternativeNamesOf(raw).email.some((address) => sameMailbox(address, expected)),
} satisfies Record<CertificateSubjectProperty, Matcher>;

function sameHostName(a: string, b: string): boolean {
  return asciiLowerCase(a) === asciiLowerCase(b);
}

function sameMailbox(a: string, b: string): boolean {
  const at = a.lastIndexOf('@');
  return (
    at > 0 &&
    a.length === b.length &&
    a.slice(0, at) === b.slice(0, at) &&
    sameHostName(a.slice(at), b.slice(at))
  );
}

/** Leaves the Kelvin sign and other letters alone, which toLowerCase() turns into ASCII. */
function asciiLowerCase(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

function presented(certificate: X509Certificate, property: CertificateSubjectProperty): string {
  try {
    if (property === 'tls_client_auth_subject_dn') {
      return quote([formatDistinguishedName(distinguishedNameOf(certificate))]);
    }
    const names = subjectAlternativeNamesOf(certificate.raw);
    return quote(names[sanKinds[property]]);
  } catch (error) {
    if (error instanceof Problem) return `a subject that cannot be read: ${error.message}`;
    throw error;
  }
}

const sanKinds = {
  tls_client_auth_san_dns: 'dns',
  tls_client_auth_san_uri: 'uri',
  tls_client_auth_san_ip: 'ip',
  tls_client_auth_san_email: 'email',
} as const;

const maxQuotedLength = 1024;

function quote(values: readonly string[]): string {
  if (values.length === 0) return 'none';
  const text = values.map((value) => JSON.stringify(value)).join(', ');
  return text.length > maxQuotedLength ? `${text.slice(0, maxQuotedLength)}…` : text;
}
