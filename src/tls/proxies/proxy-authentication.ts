import { hash, timingSafeEqual, X509Certificate } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { BlockList, isIPv6 } from 'node:net';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Clock } from '../../clock.ts';
import { Problem } from '../../problem.ts';
import { purposeDefects, validityDefects } from '../certificate-defects.ts';
import { findCertificatePath } from '../certificate-path.ts';
import { certificateSubjectMatches } from '../names/certificate-subject.ts';
import type { CertificateSubjectProperty } from '../names/certificate-subject.ts';
import type { HeaderLines } from './forwarded-certificate.ts';
import { proxySecretHeaders } from './forwarded-headers.ts';
import { readTruststore } from '../truststore.ts';

/** A name that a proxy's certificate carries. */
export interface ProxyName {
  readonly property: CertificateSubjectProperty;
  readonly value: string;
}

/** By what a proxy is known: its certificate and name, or its network and a shared secret. */
export interface ProxyTrust {
  /** Authorities of proxies' certificates, PEM; undefined where none is known by its certificate. */
  readonly truststore: string | undefined;
  readonly names: readonly ProxyName[];
  /** Networks as CIDR. */
  readonly networks: readonly string[];
  /** The present secret and, while it changes, the one before or after. */
  readonly secrets: readonly string[];
}

/** The proxy of ours that sent the request, whose forwarded headers are in `lines`; undefined for anybody else. */
export type RecogniseProxy = (
  request: IncomingMessage,
  lines: HeaderLines,
) => RecognisedProxy | undefined;

/** What is known of a connection of a proxy. */
export interface RecognisedProxy {
  /** A proxies' authority issued the certificate of the connection: it is the proxy's and no client's. */
  readonly hasCertificate: boolean;
}

/**
 * Recognises proxies by mTLS (the path must lead to the truststore with the
 * certificates in it alone, the name be listed) or by their
 * network together with a shared secret. Problem('invalid_request') for a certificate of a proxies'
 * authority with a name that is not listed: taken for a client's, it would be every client's behind it.
 */
export function createProxyAuthentication(trust: ProxyTrust, clock: Clock): RecogniseProxy {
  const authorities = authoritiesIn(trust.truststore, clock);
  const networks = networksOf(trust.networks);
  const secrets = trust.secrets.map(digest);
  const verdicts = new WeakMap<TLSSocket, CertificateVerdict>();
  const listed = new WeakMap<Socket, boolean>();

  /** Why the certificate of a proxies' authority does not do; undefined without such a certificate. */
  function certificateReasons(socket: unknown): readonly string[] | undefined {
    if (!(socket instanceof TLSSocket) || authorities.length === 0) return undefined;
    const known = verdicts.get(socket) ?? judge(socket);
    verdicts.set(socket, known);
    const { certificate, reasons } = known;
    return certificate && [...reasons, ...validityDefects(certificate, clock.now())];
  }

  function judge(socket: TLSSocket): CertificateVerdict {
    const certificate = socket.getPeerX509Certificate();
    if (certificate === undefined) return { reasons: [] };
    const material = { sent: [], truststore: authorities };
    const path = findCertificatePath(certificate, material, clock.now());
    if ('refusal' in path) return { reasons: [] };
    const isNamed = trust.names.some(({ property, value }) =>
      certificateSubjectMatches(certificate, property, value),
    );
    const unnamed = isNamed ? [] : [`${JSON.stringify(certificate.subject)} is no listed proxy`];
    return { certificate, reasons: [...unnamed, ...purposeDefects(certificate)] };
  }

  /** A connection comes from one address as long as it lasts. */
  function isListed(socket: Socket): boolean {
    const known = listed.get(socket);
    if (known !== undefined) return known;
    const address = socket.remoteAddress?.replace(/^::ffff:(?=\d+\.)/i, '');
    const isOurs =
      address !== undefined && networks.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
    listed.set(socket, isOurs);
    return isOurs;
  }

  /** Every secret is compared, so that the time does not tell which one was nearer. */
  function isSecret(given: string): boolean {
    const presented = digest(given);
    return secrets.filter((secret) => timingSafeEqual(secret, presented)).length > 0;
  }

  return function recogniseProxy(request, lines) {
    const reasons = certificateReasons(request.socket);
    const hasCertificate = reasons !== undefined;
    if (reasons?.length === 0) return { hasCertificate };
    // First of all whether there is one: most requests come from no proxy, and pass here too.
    const secret = onlySecretIn(lines);
    if (secret !== undefined && isListed(request.socket) && isSecret(secret)) {
      return { hasCertificate };
    }
    if (reasons === undefined) return undefined;
    throw new Problem('invalid_request', {
      detail: `a proxy's certificate: ${reasons.join(', ')}`,
    });
  };
}

interface CertificateVerdict {
  /** There when a proxies' authority issued it. */
  readonly certificate?: X509Certificate;
  readonly reasons: readonly string[];
}

function authoritiesIn(pem: string | undefined, clock: Clock): X509Certificate[] {
  if (pem === undefined) return [];
  return readTruststore(pem, clock).certificates.map((text) => new X509Certificate(text));
}

function networksOf(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', prefix = ''] = network.split('/');
    list.addSubnet(address, Number(prefix), isIPv6(address) ? 'ipv6' : 'ipv4');
  }
  return list;
}

/** Undefined for none, and for several: they are the words of two hands. */
function onlySecretIn(lines: HeaderLines): string | undefined {
  if (lines.size === 0) return undefined;
  const [only, second] = proxySecretHeaders.flatMap((name) => lines.get(name) ?? []);
  return second === undefined ? only : undefined;
}

function digest(text: string): Buffer {
  return hash('sha256', text, 'buffer');
}
