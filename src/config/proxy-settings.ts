import { isIP, isIPv6 } from 'node:net';
import { z } from 'zod';
import { oneOf, optionalText, setting, whole } from './setting.ts';

/** The kinds of names that a proxy's certificate may be listed by, and the client metadata of the same meaning. */
const nameKinds = {
  dn: 'tls_client_auth_subject_dn',
  dns: 'tls_client_auth_san_dns',
  uri: 'tls_client_auth_san_uri',
  ip: 'tls_client_auth_san_ip',
  email: 'tls_client_auth_san_email',
} as const;

type NameKind = keyof typeof nameKinds;

/** A name that a proxy's certificate carries. */
interface ListedName {
  property: (typeof nameKinds)[NameKind];
  value: string;
}

const nameForm = /^(dn|dns|uri|ip|email):(.+)$/s;

function nameOf(entry: string): ListedName | undefined {
  const [, kind, value] = nameForm.exec(entry) ?? [];
  if (kind === undefined || value === undefined) return undefined;
  return { property: nameKinds[kind as NameKind], value };
}

const present = <T>(value: T | undefined): value is T => value !== undefined;

/** Semicolons and line breaks separate; RFC 4514 §2.4 has a semicolon within a name escaped. */
const nameList = z
  .string()
  .transform((value) => value.split(/(?<!\\)[;\n]/).map((part) => part.trim()))
  .transform((parts) => parts.filter((part) => part !== ''))
  .refine((parts) => parts.length > 0, 'must not be empty')
  .refine(
    (parts) => parts.every((part) => nameOf(part) !== undefined),
    'must be names such as dns:proxy.bank.internal or dn:CN=proxy,O=Bank',
  )
  .transform((parts) => parts.map(nameOf).filter(present));

const commaList = z
  .string()
  .transform((value) => value.split(',').map((part) => part.trim()))
  .transform((parts) => parts.filter((part) => part !== ''))
  .refine((parts) => parts.length > 0, 'must not be empty');

/** The widest that may be listed: a /8 of private addresses; everything is no network of proxies. */
const shortestPrefix = { ipv4: 8, ipv6: 16 } as const;

function isNetwork(text: string): boolean {
  const [address = '', prefix = '', extra] = text.split('/');
  if (isIP(address) === 0 || extra !== undefined || !/^\d{1,3}$/.test(prefix)) return false;
  const [shortest, longest] = isIPv6(address)
    ? [shortestPrefix.ipv6, 128]
    : [shortestPrefix.ipv4, 32];
  return Number(prefix) >= shortest && Number(prefix) <= longest;
}

const networkList = commaList.refine(
  (parts) => parts.every(isNetwork),
  'must be networks such as 10.1.2.0/24 (/8 at the widest, /16 for IPv6)',
);

/** 32 characters of base64url are 192 bits. */
const secretForm = /^[\w-]{32,256}$/;
const secretList = commaList
  .refine(
    (parts) => parts.every((part) => secretForm.test(part) && new Set(part).size >= 8),
    "must be random, 32 to 256 characters of base64url each (openssl rand -base64 32 | tr '+/' '-_' | tr -d =)",
  )
  .refine((parts) => parts.length <= 2, 'must be two at most: the present one and its neighbour');

/** Proxies that end TLS in front of the server, and what they are believed. */
export const proxySettings = {
  proxyCertificateHeader: setting({
    variable: 'COUNTERSIGN_PROXY_CERTIFICATE_HEADER',
    type: oneOf(['none', 'rfc9440', 'envoy', 'nginx', 'haproxy', 'traefik', 'alb']),
    fallback: 'none',
    sentence:
      'How proxies tell of client certificates: `rfc9440` (Client-Cert), `envoy` (x-forwarded-client-cert), `nginx` (ssl-client-cert), `haproxy` (x-ssl-client-cert), `traefik` (x-forwarded-tls-client-cert), `alb` (x-amzn-mtls-clientcert). Believed from authenticated proxies only.',
  }),
  proxyTruststore: setting({
    variable: 'COUNTERSIGN_PROXY_TRUSTSTORE',
    type: optionalText,
    sentence:
      "The CA certificates of proxies' own client certificates, PEM: an authority that issues to proxies only.",
  }),
  proxyNames: setting({
    variable: 'COUNTERSIGN_PROXY_NAMES',
    type: nameList.optional(),
    sentence:
      "Names in proxies' certificates, separated by semicolons: `dns:`, `uri:`, `ip:`, `email:` or `dn:` (RFC 4514) and the name.",
  }),
  proxyNetworks: setting({
    variable: 'COUNTERSIGN_PROXY_NETWORKS',
    type: networkList.optional(),
    sentence:
      'Networks (CIDR, separated by commas) from which proxies connect that prove themselves by a shared secret.',
  }),
  proxySecrets: setting({
    variable: 'COUNTERSIGN_PROXY_SECRETS',
    type: secretList.optional(),
    secret: true,
    sentence:
      'What these proxies send in Countersign-Proxy-Secret; two, separated by a comma, while it changes.',
  }),
  proxyAddressHeader: setting({
    variable: 'COUNTERSIGN_PROXY_ADDRESS_HEADER',
    type: oneOf(['none', 'x-forwarded-for', 'forwarded']),
    fallback: 'x-forwarded-for',
    sentence: 'How authenticated proxies tell where a request came from.',
  }),
  proxyHops: setting({
    variable: 'COUNTERSIGN_PROXY_HOPS',
    type: whole(1, 5),
    fallback: '1',
    sentence: 'Proxies between the caller and the server, each of which appends to what it tells.',
  }),
} as const;
