import { extensionValue } from '../certificate-fields.ts';
import { derChildren, derTag, readDer } from '../der.ts';

/** The alternative names of the kinds that RFC 8705 §2.1.2 knows, in the certificate's order. */
export interface SubjectAlternativeNames {
  readonly dns: readonly string[];
  readonly uri: readonly string[];
  readonly email: readonly string[];
  /** Four or sixteen bytes each, in lower-case hex. */
  readonly ip: readonly string[];
}

/**
 * Reads the subjectAltName extension from the certificate's DER, because Node's text of it can be
 * forged by a name that holds a comma. Names with a character outside printable ASCII are left out.
 * Throws Problem('certificate_invalid').
 */
export function subjectAlternativeNamesOf(certificate: Buffer): SubjectAlternativeNames {
  const extension = extensionValue(certificate, subjectAltNameId);
  const names = extension === undefined ? [] : derChildren(readDer(extension), derTag.sequence);
  const contents = (tag: number): Buffer[] =>
    names.filter((name) => name.tag === tag).map(({ content }) => content);
  const strings = (tag: number): string[] =>
    contents(tag)
      .map((content) => content.toString('latin1'))
      .filter((text) => /^[\x21-\x7e]+$/.test(text));
  return {
    email: strings(0x81),
    dns: strings(0x82),
    uri: strings(0x86),
    ip: contents(0x87).map((content) => content.toString('hex')),
  };
}

const subjectAltNameId = '2.5.29.17';
