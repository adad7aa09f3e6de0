import { Problem } from '../problem.ts';

/** One value of DER (X.690): the identifier octet, its content, and both with the length. */
export interface DerElement {
  readonly tag: number;
  readonly content: Buffer;
  readonly raw: Buffer;
}

/** Identifier octets that certificates are made of (X.690 §8, universal class). */
export const derTag = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectIdentifier: 0x06,
  utf8String: 0x0c,
  numericString: 0x12,
  printableString: 0x13,
  teletexString: 0x14,
  ia5String: 0x16,
  visibleString: 0x1a,
  universalString: 0x1c,
  bmpString: 0x1e,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/**
 * Reads the values that lie one after the other in `bytes`, without descending into them.
 * Throws Problem('certificate_invalid') for indefinite lengths, tag numbers above 30 and values
 * that reach past the end.
 */
export function* eachDer(bytes: Buffer): Generator<DerElement, void> {
  for (let offset = 0; offset < bytes.length;) {
    const element = readAt(bytes, offset);
    yield element;
    offset += element.raw.length;
  }
}

/** Reads exactly one value; anything after it is refused with Problem('certificate_invalid'). */
export function readDer(bytes: Buffer): DerElement {
  const element = bytes.length === 0 ? undefined : readAt(bytes, 0);
  if (element?.raw.length !== bytes.length) throw malformed('exactly one value is expected');
  return element;
}

/** The children of a constructed value, which must carry `tag`. */
export function derChildren(element: DerElement | undefined, tag: number): DerElement[] {
  if (element?.tag !== tag) throw malformed(`a value with the tag ${String(tag)} is missing`);
  return [...eachDer(element.content)];
}

/** Writes one value with a definite length of the shortest form. */
export function writeDer(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  if (content.length < 0x80) return Buffer.concat([Buffer.from([tag, content.length]), content]);
  const hex = content.length.toString(16);
  const length = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex');
  return Buffer.concat([Buffer.from([tag, 0x80 | length.length]), length, content]);
}

/** The dotted form of an OBJECT IDENTIFIER's content. Throws Problem('certificate_invalid'). */
export function decodeObjectIdentifier(content: Buffer): string {
  const last = content.at(-1);
  if (last === undefined || last >= 0x80 || content.length > maxObjectIdentifierBytes) {
    throw malformed('an object identifier is cut off or too long');
  }
  const arcs: bigint[] = [];
  let arc = 0n;
  for (const byte of content) {
    arc = (arc << 7n) | BigInt(byte & 0x7f);
    if (byte >= 0x80) continue;
    arcs.push(arc);
    arc = 0n;
  }
  const first = arcs[0] ?? 0n;
  const root = first < 80n ? first / 40n : 2n;
  return [root, first - root * 40n, ...arcs.slice(1)].join('.');
}

/** The content of an OBJECT IDENTIFIER; `dotted` has at least two arcs. */
export function encodeObjectIdentifier(dotted: string): Buffer {
  const [root = 0n, second = 0n, ...rest] = dotted.split('.').map((arc) => BigInt(arc));
  return Buffer.from([root * 40n + second, ...rest].flatMap(base128));
}

const maxObjectIdentifierBytes = 64; // the arcs become big integers; real ones need fewer than 20

function readAt(bytes: Buffer, offset: number): DerElement {
  const tag = bytes[offset] ?? 0;
  if ((tag & 0x1f) === 0x1f) throw malformed('a tag number is above 30');
  const first = bytes[offset + 1] ?? 0x80;
  const lengthBytes = first < 0x80 ? 0 : first & 0x7f;
  const start = offset + 2 + lengthBytes;
  if (first === 0x80 || lengthBytes > 4 || start > bytes.length) {
    throw malformed('a length is indefinite, too large or cut off');
  }
  const length = lengthBytes === 0 ? first : bytes.readUIntBE(offset + 2, lengthBytes);
  if (start + length > bytes.length) throw malformed('a value reaches past the end');
  return {
    tag,
    content: bytes.subarray(start, start + length),
    raw: bytes.subarray(offset, start + length),
  };
}

function base128(arc: bigint): number[] {
  const bytes = [Number(arc & 0x7fn)];
  for (let rest = arc >> 7n; rest > 0n; rest >>= 7n) bytes.unshift(Number(rest & 0x7fn) | 0x80);
  return bytes;
}

function malformed(detail: string): Problem {
  return new Problem('certificate_invalid', { detail: `The DER is malformed: ${detail}.` });
}
