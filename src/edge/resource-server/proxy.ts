import { timingSafeEqual, X509Certificate } from 'node:crypto';
import { createHash } from 'node:crypto';
import type { ProxyOptions } from './options.ts';
import { Refusal } from './refusal.ts';
import type { ProtectedRequest } from './request.ts';
import { thumbprintOf } from './sender.ts';

/** Finds the caller's certificate; gives its thumbprint. Throws a {@link Refusal} for a header that can't be read. */
export type FindCertificate = (request: ProtectedRequest) => string | undefined;

/**
 * The certificate of the connection; behind a proxy, which proves itself by a secret or its own certificate, the one that it
 * tells of. What others write into the header is not looked at, and the proxy's own certificate is nobody else's.
 */
export function createCertificateFinder(proxy: ProxyOptions | undefined): FindCertificate {
  const own = ({ certificate }: ProtectedRequest) =>
    certificate === undefined ? undefined : thumbprintOf(certificate);
  if (proxy === undefined) return own;
  const isProxy = proxyRecogniser(proxy);
  return (request) => (isProxy(request) ? forwardedBy(proxy, request) : own(request));
}

function proxyRecogniser(options: ProxyOptions): (request: ProtectedRequest) => boolean {
  const { secretHeader = 'countersign-proxy-secret', thumbprints = [] } = options;
  const secrets = (options.secrets ?? []).map(digest);
  return ({ header, certificate }) => {
    if (certificate !== undefined && thumbprints.includes(thumbprintOf(certificate))) return true;
    const [only, second] = header(secretHeader.toLowerCase());
    if (only === undefined || second !== undefined) return false;
    // Every one is compared, so that the time does not tell which was nearer.
    const given = digest(only);
    return secrets.filter((secret) => timingSafeEqual(secret, given)).length > 0;
  };
}

function forwardedBy({ header, format }: ProxyOptions, request: ProtectedRequest) {
  const [only, second] = request.header(header.toLowerCase());
  if (second !== undefined) throw unreadable();
  // NGINX sends the header empty where there is no certificate.
  if (only === undefined || only === '') return undefined;
  return thumbprintOf(format === 'rfc9440' ? derOfSequence(only) : derOfPem(only));
}

/** RFC 9440 §2.2. */
function derOfSequence(text: string): Buffer {
  const base64 = /^:([a-z\d+/]+={0,2}):$/i.exec(text)?.[1] ?? '';
  return certificateDer(Buffer.from(base64, 'base64'));
}

const pem = /^-----BEGIN CERTIFICATE-----\n([a-z\d+/=\r\n]+)\n-----END CERTIFICATE-----\n?$/i;

function derOfPem(text: string): Buffer {
  const base64 = pem.exec(decoded(text))?.[1] ?? '';
  return certificateDer(Buffer.from(base64, 'base64'));
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw unreadable();
  }
}

/** Exactly one certificate: the thumbprint of more would be nobody's. */
function certificateDer(bytes: Buffer): Buffer {
  try {
    const { raw } = new X509Certificate(bytes);
    if (raw.equals(bytes)) return raw;
  } catch {
    throw unreadable();
  }
  throw unreadable();
}

function unreadable(): Refusal {
  return new Refusal('invalid_request', 'the forwarded certificate can not be read');
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
