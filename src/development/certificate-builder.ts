import { createHash, randomBytes, sign, type KeyObject } from 'node:crypto';
import { derChildren, derTag, encodeObjectIdentifier, readDer, writeDer } from '../tls/der.ts';

/** One extension of a certificate: the DER of its value, without the OCTET STRING around it. */
export interface CertificateExtension {
  readonly id: string;
  readonly critical: boolean;
  readonly value: Buffer;
}

/** What goes into a certificate (RFC 5280 §4.1). Names are the DER of a Name. */
export interface CertificateContent {
  readonly subject: Buffer;
  readonly issuer: Buffer;
  readonly publicKey: KeyObject;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly extensions: readonly CertificateExtension[];
}

/** Signs a version 3 certificate with a random serial number and gives it back as PEM. */
export function buildCertificate(content: CertificateContent, signingKey: KeyObject): string {
  const algorithm = signatureAlgorithm(signingKey);
  const body = writeDer(
    derTag.sequence,
    writeDer(0xa0, writeDer(derTag.integer, Buffer.from([2]))),
    writeDer(derTag.integer, randomSerialNumber()),
    algorithm,
    content.issuer,
    writeDer(derTag.sequence, time(content.notBefore), time(content.notAfter)),
    content.subject,
    content.publicKey.export({ type: 'spki', format: 'der' }),
    writeDer(0xa3, writeDer(derTag.sequence, ...content.extensions.map(extension))),
  );
  const signature = sign('sha256', body, signingKey);
  const der = writeDer(derTag.sequence, body, algorithm, bitString(signature));
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

/** The key identifier of a public key by RFC 5280 §4.2.1.2, method 1. */
export function keyIdentifier(publicKey: KeyObject): Buffer {
  const spki = readDer(publicKey.export({ type: 'spki', format: 'der' }));
  const bits = derChildren(spki, derTag.sequence)[1]?.content ?? Buffer.alloc(0);
  return createHash('sha1').update(bits.subarray(1)).digest();
}

/** The DER of an OBJECT IDENTIFIER. */
export function objectIdentifier(dotted: string): Buffer {
  return writeDer(derTag.objectIdentifier, encodeObjectIdentifier(dotted));
}

/** The DER of a BIT STRING without unused bits, unless told. */
export function bitString(bits: Uint8Array, unusedBits = 0): Buffer {
  return writeDer(derTag.bitString, Buffer.from([unusedBits]), bits);
}

/** The DER of BOOLEAN TRUE; FALSE is always a default that DER leaves out. */
export const derTrue: Buffer = writeDer(derTag.boolean, Buffer.from([0xff]));

function signatureAlgorithm(key: KeyObject): Buffer {
  if (key.asymmetricKeyType === 'ec') {
    return writeDer(derTag.sequence, objectIdentifier('1.2.840.10045.4.3.2'));
  }
  const derNull = writeDer(0x05);
  return writeDer(derTag.sequence, objectIdentifier('1.2.840.113549.1.1.11'), derNull);
}

function extension({ id, critical, value }: CertificateExtension): Buffer {
  const flag = critical ? [derTrue] : [];
  const content = writeDer(derTag.octetString, value);
  return writeDer(derTag.sequence, objectIdentifier(id), ...flag, content);
}

/** 16 octets; the first is kept between 0x40 and 0x7f, so that the number is positive and minimal. */
function randomSerialNumber(): Buffer {
  const bytes = randomBytes(16);
  bytes.writeUInt8((bytes.readUInt8(0) & 0x3f) | 0x40, 0);
  return bytes;
}

/** UTCTime up to 2049, GeneralizedTime after it (RFC 5280 §4.1.2.5). */
function time(moment: Date): Buffer {
  const digits = `${moment.toISOString().slice(0, 19).replace(/\D/g, '')}Z`;
  return moment.getUTCFullYear() < 2050
    ? writeDer(derTag.utcTime, Buffer.from(digits.slice(2), 'latin1'))
    : writeDer(derTag.generalizedTime, Buffer.from(digits, 'latin1'));
}
