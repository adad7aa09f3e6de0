import type { X509Certificate } from 'node:crypto';
import { Problem } from '../problem.ts';
import { extensionValue, subjectElement } from './certificate-fields.ts';
import { textOfDer } from './der-text.ts';
import { derChildren, derTag, readDer, type DerElement } from './der.ts';
import { distinguishedNameOf, sameDistinguishedName } from './names/distinguished-name.ts';

/** A GeneralName (RFC 5280 §4.2.1.6): its context tag and content. */
type GeneralName = Pick<DerElement, 'tag' | 'content'>;

/**
 * Which name of the `path` below it an authority's name constraints (RFC 5280 §4.2.1.10) forbid;
 * undefined when they allow all or there are none. Kinds of names that have no rule here are
 * forbidden where a constraint is about them. Throws Problem('certificate_invalid').
 */
export function nameConstraintsDefect(
  authority: Pick<X509Certificate, 'raw'>,
  path: readonly Pick<X509Certificate, 'raw'>[],
): string | undefined {
  const value = extensionValue(authority.raw, nameConstraintsId);
  if (value === undefined) return undefined;
  const parts = derChildren(readDer(value), derTag.sequence);
  const permitted = parts.filter(({ tag }) => tag === 0xa0).flatMap(subtrees);
  const excluded = parts.filter(({ tag }) => tag === 0xa1).flatMap(subtrees);
  const isAllowed = (name: GeneralName): boolean => {
    const isOfKind = ({ tag }: GeneralName): boolean => tag === name.tag;
    const within = permitted.filter(isOfKind);
    if (within.length > 0 && !within.some((base) => covers(base, name, false))) return false;
    return !excluded.filter(isOfKind).some((base) => covers(base, name, true));
  };
  const forbidden = path.flatMap(namesOf).find((name) => !isAllowed(name));
  return forbidden && `the name constraints of an issuer forbid a name (${kindOf(forbidden)})`;
}

const nameConstraintsId = '2.5.29.30';
const subjectAltNameId = '2.5.29.17';
const emailAddressId = '1.2.840.113549.1.9.1';
const nameTag = { email: 0x81, dns: 0x82, directory: 0xa4, uri: 0x86, ip: 0x87 } as const;

function kindOf({ tag }: GeneralName): string {
  return Object.entries(nameTag).find(([, known]) => known === tag)?.[0] ?? 'of another kind';
}

/** GeneralSubtree: minimum 0 and no maximum, as RFC 5280 demands. */
function subtrees({ content }: DerElement): GeneralName[] {
  const subtree = { tag: derTag.sequence, content, raw: content };
  return derChildren(subtree, derTag.sequence).map((element) => {
    const [base, extra] = derChildren(element, derTag.sequence);
    if (base === undefined || extra !== undefined) {
      throw new Problem('certificate_invalid', { detail: 'A name constraint has a distance.' });
    }
    return base;
  });
}

function namesOf({ raw }: Pick<X509Certificate, 'raw'>): GeneralName[] {
  const subject = subjectElement(raw);
  const extension = extensionValue(raw, subjectAltNameId);
  const alternative =
    extension === undefined ? [] : derChildren(readDer(extension), derTag.sequence);
  return [
    ...(subject.content.length === 0 ? [] : [{ tag: nameTag.directory, content: subject.raw }]),
    ...alternative,
    ...(alternative.some(({ tag }) => tag === nameTag.email) ? [] : emailsIn(subject.raw)),
  ];
}

/** RFC 5280 §4.2.1.10: addresses that stand in the subject, as it was done once. */
function emailsIn(subject: Buffer): GeneralName[] {
  return distinguishedNameOf(subject)
    .flat()
    .filter((attribute) => attribute.type === emailAddressId)
    .map((attribute) => ({
      tag: nameTag.email,
      content: Buffer.from('text' in attribute ? attribute.text : ''),
    }));
}

/** Whether a name lies in a subtree; what can't be compared counts as `unclear` says. */
function covers(base: GeneralName, name: GeneralName, unclear: boolean): boolean {
  return rules[base.tag]?.(base.content, name.content) ?? unclear;
}

/** Undefined where the two can't be compared. */
type Rule = (base: Buffer, name: Buffer) => boolean | undefined;

const rules: Readonly<Partial<Record<number, Rule>>> = {
  [nameTag.directory]: isBelow,
  [nameTag.ip]: isInNetwork,
  [nameTag.dns]: ofTexts(
    (limit, value) => limit === '' || value === limit || value.endsWith(dotted(limit)),
  ),
  [nameTag.email]: ofTexts(isMailboxIn),
  [nameTag.uri]: ofTexts((limit, value) => isHostIn(limit, URL.parse(value)?.hostname)),
};

function ofTexts(rule: (limit: string, value: string) => boolean | undefined): Rule {
  return (base, name) => {
    const [limit, value] = [textIn(base), textIn(name)];
    return limit === undefined || value === undefined ? undefined : rule(limit, value);
  };
}

function dotted(limit: string): string {
  return limit.startsWith('.') ? limit : `.${limit}`;
}

function isMailboxIn(limit: string, value: string): boolean {
  if (limit.includes('@')) return value === limit;
  return isHostIn(limit, value.slice(value.lastIndexOf('@') + 1)) ?? false;
}

/** With a leading dot the hosts below it, else that host alone. */
function isHostIn(limit: string, host: string | undefined): boolean | undefined {
  if (host === undefined || host === '') return undefined;
  return limit.startsWith('.') ? host.endsWith(limit) : host === limit;
}

function isBelow(base: Buffer, name: Buffer): boolean {
  const limit = distinguishedNameOf(base);
  return sameDistinguishedName(limit, distinguishedNameOf(name).slice(0, limit.length));
}

function isInNetwork(base: Buffer, address: Buffer): boolean | undefined {
  if (base.length !== 8 && base.length !== 32) return undefined;
  if (address.length * 2 !== base.length) return false;
  const mask = base.subarray(address.length);
  return address.every(
    (byte, index) => (byte & (mask[index] ?? 0)) === ((base[index] ?? 0) & (mask[index] ?? 0)),
  );
}

function textIn(content: Buffer): string | undefined {
  const text = textOfDer({ tag: derTag.ia5String, content, raw: content });
  return text?.toLowerCase();
}
