import type { X509Certificate } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Clock } from '../clock.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import { createNotes } from '../observability/request-notes.ts';
import { Problem } from '../problem.ts';
import { clientCertificateOf, judgeCertificate } from './client-certificate.ts';
import type { ClientCertificate } from './client-certificate.ts';
import { createDropReport } from './proxies/dropped-headers.ts';
import type { DropReason } from './proxies/dropped-headers.ts';
import { forwardedAddress } from './proxies/forwarded-address.ts';
import type { AddressHeaderKind } from './proxies/forwarded-address.ts';
import { certificateHeaders } from './proxies/forwarded-certificate.ts';
import type { CertificateHeaderKind, HeaderLines } from './proxies/forwarded-certificate.ts';
import { isCertificateHeader, takeForwardedHeaders } from './proxies/forwarded-headers.ts';
import { createForwardedSource } from './proxies/forwarded-source.ts';
import { createProxyAuthentication } from './proxies/proxy-authentication.ts';
import type { ProxyTrust, RecognisedProxy } from './proxies/proxy-authentication.ts';
import { readTruststore } from './truststore.ts';

/** What the authorities say of the certificates that they issued. */
export interface Revocation {
  /** `chain`: the client's certificate, then those of its issuers as far as they are known. */
  check(
    chain: readonly X509Certificate[],
  ): Promise<{ status: 'good' } | { status: 'revoked' | 'unknown'; reason: string }>;
}

/** Which proxies are believed, and what they tell. */
export interface ProxySettings extends ProxyTrust {
  readonly certificateHeader: CertificateHeaderKind | 'none';
  readonly addressHeader: AddressHeaderKind;
  /** Proxies between the caller and us, each of which appends to what the one before told. */
  readonly hops: number;
}

/** What a certificate source stands on. */
export interface CertificateSourceDependencies {
  /** The authorities whose client certificates are trusted, PEM. */
  readonly clientTruststore: string;
  readonly proxies: ProxySettings;
  /** Undefined where revocation is not looked at. */
  readonly revocation?: Revocation | undefined;
  readonly clock: Clock;
  readonly logger: Pick<Logger, 'warn'>;
  readonly metrics: Pick<Metrics, 'certificateHeadersDropped'>;
}

/** How a request came: by the caller's own connection, or through a proxy that may say from where. */
export type Arrival =
  { readonly proxied: false } | { readonly proxied: true; readonly address: string | undefined };

/** The one place that says which client certificate a request carries. */
export interface CertificateSource {
  /**
   * The first to see a request: takes every header out of it that only proxies may set, and says
   * whether a proxy of ours sent it. Problem('invalid_request') for a proxy with a name that is not listed.
   */
  receive(request: IncomingMessage): Arrival;
  /**
   * Finds and judges the certificate, once for each request. A forwarded one counts for the mTLS
   * host alone. Without a promise where nothing has to be waited for. Problem('invalid_request') for one that can't be
   * read, and for one beside another of the connection itself, thrown or rejected.
   */
  prepare(request: IncomingMessage, listener: 'public' | 'mtls'): Promise<void> | undefined;
  /** What `prepare` found; undefined without a certificate, and before it. */
  of(request: IncomingMessage): ClientCertificate | undefined;
}

/**
 * Milliseconds for which a certificate that was not revoked is not asked about again: it comes with every request of its
 * connection, and what the authorities say is kept for minutes at least.
 */
const goodMs = 1000;
const good = { status: 'good' } as const;
const notProxied: Arrival = { proxied: false };

/** Creates the source. A proxy's own certificate is never the client's. */
export function createCertificateSource(deps: CertificateSourceDependencies): CertificateSource {
  const { proxies, clock, revocation } = deps;
  const recognise = createProxyAuthentication(proxies, clock);
  const report = createDropReport(deps);
  const forwarded = forwardedBy(deps, report);
  const proxied = createNotes<IncomingMessage, { lines: HeaderLines; proxy: RecognisedProxy }>();
  const certificates = createNotes<IncomingMessage, ClientCertificate>();
  const foundGood = new WeakMap<X509Certificate, number>();

  function find(request: IncomingMessage, listener: string): ClientCertificate | undefined {
    const by = proxied.of(request);
    if (by === undefined) return clientCertificateOf(request.socket, clock);
    const found = forwarded(addressOf(request), by.lines, listener === 'mtls');
    if (found !== undefined && !by.proxy.hasCertificate) {
      rejectAnother(clientCertificateOf(request.socket, clock), found);
    }
    return found;
  }

  /** Whether the authorities must be asked now. */
  function isRevocationOpen({ certificate, chainTrusted }: ClientCertificate): boolean {
    if (revocation === undefined || !chainTrusted) return false;
    const goodAt = foundGood.get(certificate);
    return goodAt === undefined || Math.abs(clock.now().getTime() - goodAt) >= goodMs;
  }

  async function withRevocation(found: ClientCertificate): Promise<ClientCertificate> {
    const verdict = (await revocation?.check(found.chain)) ?? good;
    if (verdict.status === 'good') {
      foundGood.set(found.certificate, clock.now().getTime());
      return found;
    }
    const kind = verdict.status === 'revoked' ? 'revoked' : 'revocation is unknown';
    const reason = `${kind}: ${verdict.reason}`;
    return { ...found, chainTrusted: false, defect: reason, refusal: reason };
  }

  return {
    receive(request) {
      const lines = takeForwardedHeaders(request);
      const proxy = recognise(request, lines);
      if (proxy === undefined) {
        if (lines.size > 0) {
          report(addressOf(request), [...lines.keys()].filter(isCertificateHeader), 'no_proxy');
        }
        return notProxied;
      }
      proxied.set(request, { lines, proxy });
      const address = forwardedAddress(proxies.addressHeader, lines, proxies.hops);
      return { proxied: true, address };
    },

    prepare(request, listener) {
      const found = find(request, listener);
      if (found === undefined) return undefined;
      if (!isRevocationOpen(found)) {
        certificates.set(request, found);
        return undefined;
      }
      return withRevocation(found).then((judged) => {
        certificates.set(request, judged);
      });
    },

    of: (request) => certificates.of(request),
  };
}

/** A connection with a client's own certificate that also tells of another client's: which one it is for is not ours to guess. */
function rejectAnother(own: ClientCertificate | undefined, told: ClientCertificate): void {
  if (own === undefined || own.thumbprint === told.thumbprint) return;
  throw new Problem('invalid_request', {
    detail: `the connection has a certificate of its own, ${JSON.stringify(own.certificate.subject)}, and tells of another`,
  });
}

function addressOf({ socket }: IncomingMessage): string {
  return socket.remoteAddress ?? 'unknown';
}

type Report = (address: string, headers: readonly string[], reason: DropReason) => void;

/** The certificate that a proxy tells of, for the host that asks for certificates. */
function forwardedBy(deps: CertificateSourceDependencies, report: Report) {
  const { proxies, clientTruststore, clock } = deps;
  const { certificateHeader: kind, hops } = proxies;
  const truststore = readTruststore(clientTruststore, clock).certificates;
  const expected: readonly string[] = kind === 'none' ? [] : certificateHeaders[kind];
  const read =
    kind === 'none' ? undefined : createForwardedSource({ kind, hops, truststore, clock });

  return function forwarded(peer: string, lines: HeaderLines, isForMtls: boolean) {
    const names = [...lines.keys()].filter(isCertificateHeader);
    const others = names.filter((name) => !expected.includes(name));
    report(peer, others, 'not_configured');
    if (!isForMtls) {
      // No proxy of ours asks for certificates there, so a caller wrote it.
      const written = names.filter((name) => expected.includes(name));
      report(peer, written, 'public_host');
      return undefined;
    }
    const facts = read?.(lines);
    return facts && judgeCertificate(facts, clock);
  };
}
