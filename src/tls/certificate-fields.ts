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

/**
 * The content of an extension's OCTET STRING, undefined when the certificate lacks it. An extension
 * that is there twice is refused (RFC 5280 §4.2), because two readers would see two certificates.
 * Throws Problem('certificate_invalid').
 */
export function extensionValue(certificate: Buffer, id: string): Buffer | undefined {
  const wrapper = toBeSigned(certificate).find(({ tag }) => tag === extensionsTag);
  if (wrapper === undefined) return undefined;
  const found = derChildren(readDer(wrapper.content), derTag.sequence)
    .map((extension) => derChildren(extension, derTag.sequence))
    .filter(([type]) => type !== undefined && decodeObjectIdentifier(type.content) === id);
  if (found.length > 1) {
    throw new Problem('certificate_invalid', { detail: `The extension ${id} is there twice.` });
  }
  return found[0]?.find(({ tag }) => tag === derTag.octetString)?.content;
}

const versionTag = 0xa0;
const extensionsTag = 0xa3;

/** The fields of TBSCertificate from the serial number on. */
function toBeSigned(certificate: Buffer): DerElement[] {
  const [body] = derChildren(readDer(certificate), derTag.sequence);
  const fields = derChildren(body, derTag.sequence);
  return fields[0]?.tag === versionTag ? fields.slice(1) : fields;
}
