import { X509Certificate } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../../clock.ts';
import { findCertificatePath } from '../certificate-path.ts';
import { certificateFacts } from '../client-certificate.ts';
import type { CertificateFacts } from '../client-certificate.ts';
import { certificateHeaders, readForwardedCertificate } from './forwarded-certificate.ts';
import type { CertificateHeaderKind, HeaderLines } from './forwarded-certificate.ts';
import { unreadable } from './forwarded-encoding.ts';

/** What reading forwarded certificates depends on. */
export interface ForwardedSourceOptions {
  /** Which headers the proxies set. */
  readonly kind: CertificateHeaderKind;
  readonly hops: number;
  /** The authorities whose client certificates are trusted, PEM, one each. */
  readonly truststore: readonly string[];
  readonly clock: Clock;
}

/** The certificate in a proxy's headers; undefined when they tell of none. Problem('invalid_request'). */
export type ReadForwarded = (lines: HeaderLines) => CertificateFacts | undefined;

/** A client sends the same header with each request, and parsing and verifying it costs 1 ms. */
const maxRemembered = 512;
/** After this long the path's own periods are looked at again. */
const rememberedMs = 60_000;

/**
 * Reads certificates from a proxy's headers and judges their path by our own truststore, whatever the
 * proxy made of it. Remembers what it made of a header value for a minute.
 */
export function createForwardedSource(options: ForwardedSourceOptions): ReadForwarded {
  const { kind, hops, clock } = options;
  const truststore = options.truststore.map((pem) => new X509Certificate(pem));
  const remembered = new LRUCache<string, { facts: CertificateFacts; at: number }>({
    max: maxRemembered,
  });

  function read(lines: HeaderLines): CertificateFacts | undefined {
    const forwarded = readForwardedCertificate(kind, lines, hops);
    if (forwarded === undefined) return undefined;
    const leaf = parse(forwarded.leaf);
    const sent = forwarded.chain.map(parse);
    const path = findCertificatePath(leaf, { sent, truststore }, clock.now());
    return 'refusal' in path
      ? certificateFacts(leaf, [leaf, ...sent], [`the chain is not trusted (${path.refusal})`])
      : certificateFacts(leaf, path.certificates, []);
  }

  return function readRemembered(lines) {
    const key = certificateHeaders[kind].map((name) => lines.get(name)?.join('\n')).join('\0');
    const now = clock.now().getTime();
    const known = remembered.get(key);
    if (known !== undefined && Math.abs(now - known.at) < rememberedMs) return known.facts;
    const facts = read(lines);
    if (facts !== undefined) remembered.set(key, { facts, at: now });
    return facts;
  };
}

/** Node also takes PEM, and DER with something behind it; neither may pass for what was sent. */
function parse(der: Buffer): X509Certificate {
  const certificate = parsed(der);
  if (!certificate.raw.equals(der)) throw unreadable('more than a certificate');
  return certificate;
}

function parsed(der: Buffer): X509Certificate {
  try {
    return new X509Certificate(der);
  } catch {
    throw unreadable('no X.509 certificate');
  }
}
