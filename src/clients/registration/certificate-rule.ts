import type { X509Certificate } from 'node:crypto';
import { Problem } from '../../problem.ts';
import { attributeTypeId } from '../../tls/names/attribute-types.ts';
import { formatDistinguishedName } from '../../tls/names/distinguished-name-text.ts';
import { distinguishedNameOf } from '../../tls/names/distinguished-name.ts';
import type { CertificateRule } from './directory.ts';

/**
 * Which of the rules that tie a certificate to a software do not hold, a sentence each with both sides. Values are
 * compared exactly; of several attributes of one type all must be equal, so that none can be smuggled in.
 */
export function certificateRuleFaults(
  certificate: X509Certificate,
  rules: readonly CertificateRule[],
  claims: Readonly<Record<string, unknown>>,
): string[] {
  return rules.flatMap(({ attribute, claim, prefix }) => {
    const value = claims[claim];
    if (typeof value !== 'string' || value === '') return [`the statement has no ${claim}`];
    const values = subjectValues(certificate, attribute);
    if (values.length > 0 && values.every((found) => found === prefix + value)) return [];
    const found = values.length === 0 ? 'none' : values.map((one) => JSON.stringify(one)).join();
    const expected = JSON.stringify(prefix + value);
    return [
      `${attribute} of the certificate is ${found}, ${claim} of the statement wants ${expected} (subject ${JSON.stringify(subjectText(certificate))})`,
    ];
  });
}

function subjectValues(certificate: X509Certificate, attribute: string): string[] {
  const id = attributeTypeId(attribute);
  return subjectOf(certificate)
    .flat()
    .filter(({ type }) => type === id)
    .map((found) => ('text' in found ? found.text : `#${found.der}`));
}

/** The subject as RFC 4514 text; empty for one that can't be read. */
export function subjectText(certificate: X509Certificate): string {
  return formatDistinguishedName(subjectOf(certificate));
}

function subjectOf(certificate: X509Certificate) {
  try {
    return distinguishedNameOf(certificate);
  } catch (error) {
    if (error instanceof Problem) return [];
    throw error;
  }
}
