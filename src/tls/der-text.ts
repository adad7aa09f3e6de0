import { derTag, type DerElement } from './der.ts';

/**
 * The characters of a string value; undefined when it is no string, or is not well-formed. Teletex
 * is read as Latin-1, which is what certificate authorities have put there (RFC 5280 §4.1.2.4).
 */
export function textOfDer({ tag, content }: DerElement): string | undefined {
  switch (tag) {
    case derTag.utf8String:
      return decode('utf-8', content);
    case derTag.printableString:
    case derTag.ia5String:
    case derTag.numericString:
    case derTag.visibleString:
      return content.every((byte) => byte < 0x80) ? content.toString('latin1') : undefined;
    case derTag.teletexString:
      return content.toString('latin1');
    case derTag.bmpString:
      return decode('utf-16be', content);
    case derTag.universalString:
      return decodeUtf32(content);
    default:
      return undefined;
  }
}

function decode(encoding: 'utf-8' | 'utf-16be', content: Buffer): string | undefined {
  try {
    return new TextDecoder(encoding, { fatal: true, ignoreBOM: true }).decode(content);
  } catch {
    return undefined;
  }
}

function decodeUtf32(content: Buffer): string | undefined {
  if (content.length % 4 !== 0) return undefined;
  let text = '';
  for (let offset = 0; offset < content.length; offset += 4) {
    const codePoint = content.readUInt32BE(offset);
    if (codePoint > 0x10ffff) return undefined;
    text += String.fromCodePoint(codePoint);
  }
  return text.isWellFormed() ? text : undefined;
}
