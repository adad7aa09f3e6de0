import type { IncomingMessage } from 'node:http';
import type { HeaderLines } from './forwarded-certificate.ts';

/** Where proxies of all makes put a client's certificate, or what they have found about it. */
const certificateHeaderNames: readonly string[] = [
  ...['client-cert', 'client-cert-chain', 'x-forwarded-client-cert'],
  ...['ssl-client-cert', 'ssl-client-verify', 'ssl-client-subject-dn', 'ssl-client-issuer-dn'],
  ...['ssl-client-s-dn', 'ssl-client-i-dn', 'ssl-client-serial', 'ssl-client-fingerprint'],
  ...['ssl-client-cert-chain', 'x-ssl-cert', 'x-ssl-client-cert', 'x-ssl-client-chain'],
  ...['x-ssl-client-cert-chain', 'x-ssl-client-verify', 'x-ssl-client-dn', 'x-ssl-client-s-dn'],
  ...['x-ssl-client-cn', 'x-ssl-client-sha1', 'x-ssl-client-serial', 'x-ssl-issuer'],
  ...['x-client-cert', 'x-client-cert-chain', 'x-client-certificate', 'x-client-cert-present'],
  ...['x-client-cert-chain-verified', 'x-client-cert-leaf', 'x-client-cert-hash'],
  ...['x-forwarded-tls-client-cert', 'x-forwarded-tls-client-cert-info'],
  ...['x-amzn-mtls-clientcert', 'x-amzn-mtls-clientcert-leaf', 'x-amzn-mtls-clientcert-subject'],
  ...['x-amzn-mtls-clientcert-issuer', 'x-amzn-mtls-clientcert-serial-number'],
  ...['x-amzn-mtls-clientcert-validity', 'x-arr-clientcert', 'cf-client-cert-der-base64'],
  ...['cf-client-cert-sha256', 'x-tls-client-dn', 'x-tls-client-certificate', 'eps-dn'],
  ...['x-apigw-client-cert', 'x-mtls-client-cert', 'sec-client-x509-cert'],
];

/** Where proxies put what they know of the request besides; nothing here may be read by anything else. The edge looks for others. */
const requestHeaderNames: readonly string[] = [
  ...['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto'],
  ...['x-forwarded-port', 'x-real-ip', 'x-client-ip', 'true-client-ip'],
];

/** What proves a proxy: the second is the one name that AWS WAF can set. */
export const proxySecretHeaders = [
  'countersign-proxy-secret',
  'x-amzn-waf-countersign-proxy-secret',
] as const;

const aboutCertificates = new Set(certificateHeaderNames);
const taken = new Set([...certificateHeaderNames, ...requestHeaderNames, ...proxySecretHeaders]);

/** Some servers take an underscore for a dash (RFC 3875 §4.1.18). */
function plainName(name: string): string {
  return name.toLowerCase().replaceAll('_', '-');
}

/** Every request's headers are looked at: names that Node has put in lower case cost one look-up each. */
function isTaken(name: string): boolean {
  return taken.has(name.includes('_') ? plainName(name) : name);
}

/** Whether a header, in lower case, tells of a client's certificate. */
export function isCertificateHeader(name: string): boolean {
  return aboutCertificates.has(name.includes('_') ? plainName(name) : name);
}

const nothing: HeaderLines = new Map();

/**
 * Takes every header out of the request that only a proxy may set, so that nothing reads it by
 * accident, and gives the lines back by their lower-case names; names with an underscore keep it.
 */
export function takeForwardedHeaders(request: IncomingMessage): HeaderLines {
  const names = Object.keys(request.headers).filter(isTaken);
  if (names.length === 0) return nothing;
  const lines = new Map<string, string[]>();
  const { rawHeaders } = request;
  const kept: string[] = [];
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const [name = '', value = ''] = rawHeaders.slice(index, index + 2);
    const key = name.toLowerCase();
    if (isTaken(key)) {
      lines.set(key, [...(lines.get(key) ?? []), value]);
    } else kept.push(name, value);
  }
  request.rawHeaders = kept;
  for (const name of names) Reflect.deleteProperty(request.headers, name);
  return lines;
}
