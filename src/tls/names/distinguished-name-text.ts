import { Problem } from '../../problem.ts';
import { attributeTypeId, attributeTypeName } from './attribute-types.ts';
import { derTag, readDer, writeDer } from '../der.ts';
import { textOfDer } from '../der-text.ts';
import type { DistinguishedName, NameAttribute } from './distinguished-name.ts';

/** More than any certificate authority issues; a longer text is not looked at. */
export const maxDistinguishedNameLength = 8192;

/**
 * Reads RFC 4514 text, most specific name first, such as `CN=abc,O=Open Banking\, Ltd,C=GB`.
 * Beyond the RFC: spaces around `,` `+` `=`, an `OID.` prefix, and characters (not only `#hex`)
 * for a dotted type. Not understood: quoted values and `;`, both gone since RFC 2253.
 * Throws Problem('client_invalid') and nothing else; an empty name is refused, it names nobody.
 */
export function parseDistinguishedName(text: string): DistinguishedName {
  if (text.length > maxDistinguishedNameLength) {
    throw malformed(`it has more than ${String(maxDistinguishedNameLength)} characters`);
  }
  if (!text.isWellFormed()) throw malformed('it holds half a surrogate pair');
  const relativeNames: NameAttribute[][] = [];
  let current: NameAttribute[] | undefined;
  for (let offset = 0; ; offset += 1) {
    const { attribute, end } = readAttribute(text, offset);
    if (current === undefined) relativeNames.push((current = []));
    current.push(attribute);
    if (end === text.length) return relativeNames.reverse();
    if (text[end] === ',') current = undefined;
    else if (text[end] !== '+') throw malformedAt(text, end);
    offset = end;
  }
}

/**
 * Writes RFC 4514 text, most specific name first, without spaces between the names. Values of types
 * that have no name are written as `#hex` (§2.4); control characters are escaped, so that the text
 * is safe in a log line.
 */
export function formatDistinguishedName(name: DistinguishedName): string {
  return name
    .toReversed()
    .map((attributes) => attributes.map(formatAttribute).join('+'))
    .join(',');
}

const typePattern = / *(?:OID\.)?(\d+(?:\.\d+)+|[a-z][a-z\d-]*) *= */iy;
const hexPattern = /#((?:[\da-f]{2})+) */iy;
const textPattern = /(?:[^\0"+,;<>\\]|\\(?:[ "#+,;<=>\\]|[\da-f]{2}))*/iy;
const dottedPattern = /^(?:[01]\.[1-3]?\d|2\.(?:0|[1-9]\d*))(?:\.(?:0|[1-9]\d*))*$/;
const maxDottedLength = 128;

interface Read {
  readonly attribute: NameAttribute;
  /** Where reading stopped: the position of the separator or the end of the text. */
  readonly end: number;
}

function readAttribute(text: string, offset: number): Read {
  const [typeText, typeName] = match(typePattern, text, offset);
  if (typeText === undefined || typeName === undefined) throw malformedAt(text, offset);
  const type = readType(typeName);
  const start = offset + typeText.length;
  if (text[start] !== '#') {
    const [escaped = ''] = match(textPattern, text, start);
    return { attribute: { type, text: unescapeText(escaped) }, end: start + escaped.length };
  }
  const [hexText, hex] = match(hexPattern, text, start);
  if (hexText === undefined || hex === undefined) throw malformedAt(text, start);
  return { attribute: readHexValue(type, hex), end: start + hexText.length };
}

function match(pattern: RegExp, text: string, offset: number): (string | undefined)[] {
  pattern.lastIndex = offset;
  return pattern.exec(text) ?? [];
}

function readType(name: string): string {
  if (!/^\d/.test(name)) {
    const id = attributeTypeId(name);
    if (id === undefined) throw malformed(`${JSON.stringify(name)} is not a known attribute type`);
    return id;
  }
  if (name.length > maxDottedLength || !dottedPattern.test(name)) {
    throw malformed('an object identifier is not valid');
  }
  return name;
}

function readHexValue(type: string, hex: string): NameAttribute {
  try {
    const value = readDer(Buffer.from(hex, 'hex'));
    const text = textOfDer(value);
    return text === undefined ? { type, der: value.raw.toString('hex') } : { type, text };
  } catch (cause) {
    throw new Problem('client_invalid', { detail: 'A #hex value is not DER.', cause });
  }
}

function unescapeText(escaped: string): string {
  const tokens = [...escaped.matchAll(/[^\\]+|\\[\da-f]{2}|\\./giu)].map(([token]) => token);
  const last = tokens.pop() ?? '';
  tokens.push(last.startsWith('\\') ? last : withoutPadding(last));
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
      Buffer.concat(tokens.map(unescapeToken)),
    );
  } catch (cause) {
    throw new Problem('client_invalid', { detail: 'A value is not UTF-8 (RFC 4514 §3).', cause });
  }
}

/** A loop, because / +$/ takes quadratic time on spaces in the middle. */
function withoutPadding(text: string): string {
  let end = text.length;
  while (text[end - 1] === ' ') end -= 1;
  return text.slice(0, end);
}

function unescapeToken(token: string): Buffer {
  if (!token.startsWith('\\')) return Buffer.from(token, 'utf8');
  const escaped = token.slice(1);
  return Buffer.from(escaped, escaped.length === 2 ? 'hex' : 'latin1');
}

function formatAttribute(attribute: NameAttribute): string {
  const name = attributeTypeName(attribute.type);
  if ('der' in attribute) return `${name ?? attribute.type}=#${attribute.der}`;
  if (name !== undefined) return `${name}=${escapeText(attribute.text)}`;
  const der = writeDer(derTag.utf8String, Buffer.from(attribute.text, 'utf8'));
  return `${attribute.type}=#${der.toString('hex')}`;
}

function escapeText(text: string): string {
  return text
    .replace(/["+,;<>\\]|^[ #]| $/gu, '\\$&')
    .replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) =>
      Buffer.from(character, 'utf8').toString('hex').replace(/../g, '\\$&'),
    );
}

function malformedAt(text: string, offset: number): Problem {
  const found = offset < text.length ? JSON.stringify(text[offset]) : 'the end';
  return malformed(`${found} is not expected at position ${String(offset)}`);
}

function malformed(why: string): Problem {
  return new Problem('client_invalid', {
    detail: `The distinguished name is malformed: ${why} (RFC 4514).`,
  });
}
