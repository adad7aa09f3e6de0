import type { KeyObject } from 'node:crypto';
import { derTag, writeDer } from '../tls/der.ts';
import { ipAddressBytes } from '../tls/ip-address.ts';
import {
  bitString,
  derTrue,
  keyIdentifier,
  objectIdentifier,
  type CertificateExtension,
} from './certificate-builder.ts';

/** Extended key usages (RFC 5280 §4.2.1.12). */
export const extendedKeyUsages = {
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
} as const;

/** The extensions of an authority: it signs certificates and revocation lists. */
export function authorityExtensions(publicKey: KeyObject): CertificateExtension[] {
  return [
    { id: '2.5.29.19', critical: true, value: writeDer(derTag.sequence, derTrue) },
    { id: '2.5.29.15', critical: true, value: bitString(Buffer.from([0b0000_0110]), 1) },
    subjectKeyIdentifier(publicKey),
  ];
}

/** The extensions of a certificate that only signs handshakes. */
export function leafExtensions(
  publicKey: KeyObject,
  issuerKey: KeyObject,
  purposes: readonly string[],
): CertificateExtension[] {
  const authorityKey = writeDer(0x80, keyIdentifier(issuerKey));
  return [
    { id: '2.5.29.19', critical: true, value: writeDer(derTag.sequence) },
    { id: '2.5.29.15', critical: true, value: bitString(Buffer.from([0b1000_0000]), 7) },
    subjectKeyIdentifier(publicKey),
    { id: '2.5.29.35', critical: false, value: writeDer(derTag.sequence, authorityKey) },
    ...extendedKeyUsage(purposes),
  ];
}

/** Names for the subjectAltName extension. */
export interface AlternativeNames {
  readonly dns?: readonly string[];
  readonly uri?: readonly string[];
  readonly email?: readonly string[];
  /** Textual IPv4 or IPv6 addresses. */
  readonly ip?: readonly string[];
}

/** The subjectAltName extension, none when there is no name. */
export function subjectAlternativeName(names: AlternativeNames): CertificateExtension[] {
  const entries = [
    ...texts(0x81, names.email),
    ...texts(0x82, names.dns),
    ...texts(0x86, names.uri),
    ...(names.ip ?? []).map((ip) => writeDer(0x87, Buffer.from(ipAddressBytes(ip) ?? '', 'hex'))),
  ];
  if (entries.length === 0) return [];
  return [{ id: '2.5.29.17', critical: false, value: writeDer(derTag.sequence, ...entries) }];
}

function texts(tag: number, values: readonly string[] = []): Buffer[] {
  return values.map((value) => writeDer(tag, Buffer.from(value, 'latin1')));
}

function extendedKeyUsage(purposes: readonly string[]): CertificateExtension[] {
  if (purposes.length === 0) return [];
  const value = writeDer(derTag.sequence, ...purposes.map(objectIdentifier));
  return [{ id: '2.5.29.37', critical: false, value }];
}

function subjectKeyIdentifier(publicKey: KeyObject): CertificateExtension {
  const value = writeDer(derTag.octetString, keyIdentifier(publicKey));
  return { id: '2.5.29.14', critical: false, value };
}
