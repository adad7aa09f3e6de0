import type { X509Certificate } from 'node:crypto';
import { Problem } from '../../problem.ts';
import { ia5AttributeTypes } from './attribute-types.ts';
import { subjectElement } from '../certificate-fields.ts';
import { textOfDer } from '../der-text.ts';
import {
  decodeObjectIdentifier,
  derChildren,
  derTag,
  encodeObjectIdentifier,
  readDer,
  writeDer,
  type DerElement,
} from '../der.ts';
import { prepareForMatching } from './string-preparation.ts';

/**
 * One `type=value`: the dotted object identifier and either the characters of a string, whichever
 * string type carried them, or the DER of anything else as lower-case hex.
 */
export type NameAttribute =
  | { readonly type: string; readonly text: string }
  | { readonly type: string; readonly der: string };

/** Relative names in the certificate's order (country first); several attributes form one set. */
export type DistinguishedName = readonly (readonly NameAttribute[])[];

/**
 * The subject as the certificate's bytes say it; Node's text rendering is ambiguous when a value
 * holds a line break. Also takes the DER of a Name. Throws Problem('certificate_invalid').
 */
export function distinguishedNameOf(source: X509Certificate | Buffer): DistinguishedName {
  const name = 'raw' in source ? subjectElement(source.raw) : readDer(source);
  return derChildren(name, derTag.sequence).map((relativeName) => {
    const attributes = derChildren(relativeName, derTag.set).map(attributeOf);
    if (attributes.length > 0) return attributes;
    throw new Problem('certificate_invalid', { detail: 'A relative name has no attribute.' });
  });
}

/** The DER of a Name: UTF8String for characters, IA5String where the attribute type demands it. */
export function encodeDistinguishedName(name: DistinguishedName): Buffer {
  const sets = name.map((attributes) => {
    const members = attributes.map((attribute) =>
      writeDer(
        derTag.sequence,
        writeDer(derTag.objectIdentifier, encodeObjectIdentifier(attribute.type)),
        encodeValue(attribute),
      ),
    );
    return writeDer(derTag.set, ...members.sort((a, b) => Buffer.compare(a, b)));
  });
  return writeDer(derTag.sequence, ...sets);
}

/**
 * distinguishedNameMatch (RFC 4517 §4.2.15): the same relative names in the same order, each as a
 * set; strings by caseIgnoreMatch, other values byte for byte. A name that holds a prohibited
 * character matches nothing, itself included.
 */
export function sameDistinguishedName(a: DistinguishedName, b: DistinguishedName): boolean {
  if (a.length !== b.length) return false;
  return a.every((attributes, index) => {
    const key = relativeNameKey(attributes);
    return key !== undefined && key === relativeNameKey(b[index] ?? []);
  });
}

function attributeOf(element: DerElement): NameAttribute {
  const [type, value, extra] = derChildren(element, derTag.sequence);
  if (type?.tag !== derTag.objectIdentifier || value === undefined || extra !== undefined) {
    throw new Problem('certificate_invalid', { detail: 'An attribute is not a type and a value.' });
  }
  const id = decodeObjectIdentifier(type.content);
  const text = textOfDer(value);
  return text === undefined ? { type: id, der: value.raw.toString('hex') } : { type: id, text };
}

function encodeValue(attribute: NameAttribute): Buffer {
  if ('der' in attribute) return Buffer.from(attribute.der, 'hex');
  const bytes = Buffer.from(attribute.text, 'utf8');
  const ia5 = ia5AttributeTypes.has(attribute.type) && bytes.every((byte) => byte < 0x80);
  return writeDer(ia5 ? derTag.ia5String : derTag.utf8String, bytes);
}

function relativeNameKey(attributes: readonly NameAttribute[]): string | undefined {
  const keys: string[] = [];
  for (const attribute of attributes) {
    const value = 'der' in attribute ? `#${attribute.der}` : prepareForMatching(attribute.text);
    if (value === undefined) return undefined;
    keys.push(JSON.stringify([attribute.type, 'der' in attribute, value]));
  }
  return keys.sort().join();
}
