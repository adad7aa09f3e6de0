import { Problem } from '../problem.ts';
import { decodeObjectIdentifier, derChildren, derTag, readDer, type DerElement } from './der.ts';

/**
 * The subject of a DER certificate (RFC 5280 §4.1.2.6), as it stands there.
 * Throws Problem('certificate_invalid').
 */
export function subjectElement(certificate: Buffer): DerElement {
  const subject = toBeSigned(certificate)[4];
  if (subject?.tag === derTag.sequence) return subject;
  throw new Problem('certificate_invalid', { detail: 'The certificate has no subject.' });
}

/** The name of the certificate's issuer (RFC 5280 §4.1.2.4). Throws Problem('certificate_invalid'). */
export function issuerElement(certificate: Buffer): DerElement {
  const issuer = toBeSigned(certificate)[2];
  if (issuer?.tag === derTag.sequence) return issuer;
  throw new Problem('certificate_invalid', { detail: 'The certificate has no issuer.' });
}

/** The bytes of the serial number, as they stand there. Throws Problem('certificate_invalid'). */
export function serialNumberOf(certificate: Buffer): Buffer {
  const serial = toBeSigned(certificate)[0];
  if (serial?.tag === derTag.integer) return serial.content;
  throw new Problem('certificate_invalid', { detail: 'The certificate has no serial number.' });
}

/** The algorithm by which the certificate is signed (RFC 5280 §4.1.1.2). Throws Problem('certificate_invalid'). */
export function signatureAlgorithmElement(certificate: Buffer): DerElement {
  const algorithm = derChildren(readDer(certificate), derTag.sequence)[1];
  if (algorithm?.tag === derTag.sequence) return algorithm;
  throw new Problem('certificate_invalid', { detail: 'The certificate has no algorithm.' });
}

/** One extension of a certificate (RFC 5280 §4.2): `value` is what its OCTET STRING holds. */
export interface CertificateExtensionField {
  readonly id: string;
  readonly critical: boolean;
  readonly value: Buffer;
}

/** Every extension of a DER certificate, in its order. Throws Problem('certificate_invalid'). */
export function extensionsOf(certificate: Buffer): CertificateExtensionField[] {
  const wrapper = toBeSigned(certificate).find(({ tag }) => tag === extensionsTag);
  if (wrapper === undefined) return [];
  return derChildren(readDer(wrapper.content), derTag.sequence).map((extension) => {
    const [type, ...rest] = derChildren(extension, derTag.sequence);
    const value = rest.find(({ tag }) => tag === derTag.octetString)?.content;
    if (type?.tag !== derTag.objectIdentifier || value === undefined) {
      throw new Problem('certificate_invalid', { detail: 'An extension has no type or value.' });
    }
    const critical = rest.some(({ tag, content }) => tag === derTag.boolean && content[0] !== 0);
    return { id: decodeObjectIdentifier(type.content), critical, value };
  });
}

/**
 * The content of an extension's OCTET STRING, undefined when the certificate lacks it. An extension
 * that is there twice is refused (RFC 5280 §4.2), because two readers would see two certificates.
 * Throws Problem('certificate_invalid').
 */
export function extensionValue(certificate: Buffer, id: string): Buffer | undefined {
  const found = extensionsOf(certificate).filter((extension) => extension.id === id);
  if (found.length > 1) {
    throw new Problem('certificate_invalid', { detail: `The extension ${id} is there twice.` });
  }
  return found[0]?.value;
}

const versionTag = 0xa0;
const extensionsTag = 0xa3;

/** The fields of TBSCertificate from the serial number on. */
function toBeSigned(certificate: Buffer): DerElement[] {
  const [body] = derChildren(readDer(certificate), derTag.sequence);
  const fields = derChildren(body, derTag.sequence);
  return fields[0]?.tag === versionTag ? fields.slice(1) : fields;
}
