import { eachDer } from '../der.ts';
import {
  bytesOfBase64,
  derOfBase64,
  dersOfPem,
  leafFirst,
  maxForwardedCertificates,
  percentDecoded,
  unreadable,
} from './forwarded-encoding.ts';
import type { ForwardedCertificate } from './forwarded-encoding.ts';
import { readEnvoy } from './forwarded-envoy.ts';

/** How a proxy tells of the certificate that its client presented. */
export const certificateHeaderKinds = [
  'rfc9440',
  'envoy',
  'nginx',
  'haproxy',
  'traefik',
  'alb',
] as const;

/** One of {@link certificateHeaderKinds}. */
export type CertificateHeaderKind = (typeof certificateHeaderKinds)[number];

/** The values of each header field line by its lower-case name, in the order in which they came. */
export type HeaderLines = ReadonlyMap<string, readonly string[]>;

/** The headers that each kind reads, lower case; every other one that tells of certificates is dropped. */
export const certificateHeaders = {
  rfc9440: ['client-cert', 'client-cert-chain'],
  envoy: ['x-forwarded-client-cert'],
  nginx: ['ssl-client-cert'],
  haproxy: ['x-ssl-client-cert', 'x-ssl-client-chain'],
  traefik: ['x-forwarded-tls-client-cert'],
  alb: ['x-amzn-mtls-clientcert', 'x-amzn-mtls-clientcert-leaf'],
} as const satisfies Record<CertificateHeaderKind, readonly string[]>;

/**
 * The certificate that the headers of an authenticated proxy tell of; undefined when none of them is
 * there. Problem('invalid_request') for anything else than one well-formed certificate, because "no
 * certificate" would let a mistake pass for a client without one. `hops` is for Envoy.
 */
export function readForwardedCertificate(
  kind: CertificateHeaderKind,
  lines: HeaderLines,
  hops: number,
): ForwardedCertificate | undefined {
  const [main, other] = certificateHeaders[kind].map((name) => onlyLine(lines, name));
  if (main === undefined && other === undefined) return undefined;
  return readers[kind]({ main, other, hops });
}

interface Values {
  main: string | undefined;
  other: string | undefined;
  hops: number;
}

const readers = {
  rfc9440: readRfc9440,
  envoy: ({ main, hops }) => readEnvoy(needed(main), hops),
  nginx: ({ main }) => {
    const certificates = leafFirst(dersOfPem(percentDecoded(needed(main))));
    if (certificates.chain.length > 0) throw unreadable('more than one certificate');
    return certificates;
  },
  haproxy: readHaproxy,
  traefik: ({ main }) => leafFirst(listOf(percentDecoded(needed(main))).map(derOfBase64)),
  alb: ({ main, other }) => {
    if (main !== undefined && other !== undefined) throw unreadable('told in two headers');
    return leafFirst(dersOfPem(percentDecoded(needed(main ?? other))));
  },
} as const satisfies Record<CertificateHeaderKind, (values: Values) => ForwardedCertificate>;

/** A proxy sets its header once; a second line is somebody else's. */
function onlyLine(lines: HeaderLines, name: string): string | undefined {
  const values = lines.get(name) ?? [];
  if (values.length > 1) throw unreadable(`${name} came more than once`);
  return values[0];
}

function needed(value: string | undefined): string {
  if (value === undefined) throw unreadable('a chain without the certificate');
  return value;
}

const byteSequence = /^:([a-z\d+/=]+):$/i;

/** RFC 9440 §2: an Item and a List of Byte Sequences (RFC 9651 §3.3.5) without parameters. */
function readRfc9440({ main, other }: Values): ForwardedCertificate {
  const sequence = (text: string): Buffer => {
    const base64 = byteSequence.exec(text.replaceAll(/^ +| +$/g, ''))?.[1];
    if (base64 === undefined) throw unreadable('no byte sequence');
    return derOfBase64(base64);
  };
  return leafFirst([
    sequence(needed(main)),
    ...(other === undefined ? [] : listOf(other).map(sequence)),
  ]);
}

/** `ssl_c_der,base64`, and `ssl_c_chain_der,base64`: DER after DER, which may begin with the leaf. */
function readHaproxy({ main, other }: Values): ForwardedCertificate {
  const leaf = derOfBase64(needed(main));
  if (other === undefined) return { leaf, chain: [] };
  const chain = concatenated(bytesOfBase64(other)).filter((der) => !der.equals(leaf));
  return leafFirst([leaf, ...chain]);
}

function concatenated(bytes: Buffer): Buffer[] {
  try {
    return Array.from(eachDer(bytes), ({ raw }) => raw);
  } catch {
    throw unreadable('the chain is not DER');
  }
}

function listOf(text: string): string[] {
  const members = text.split(',').map((member) => member.trim());
  if (members.length > maxForwardedCertificates) throw unreadable('too many certificates');
  return members;
}
