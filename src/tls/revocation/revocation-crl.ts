import { setImmediate as nextTurn } from 'node:timers/promises';
import { Problem } from '../../problem.ts';
import {
  decodeObjectIdentifier,
  derChildren,
  derTag,
  eachDer,
  readDer,
  type DerElement,
} from '../der.ts';
import { uriNames } from './revocation-names.ts';
import type { SignedBytes } from './signature.ts';

/** A certificate revocation list (RFC 5280 §5) that can be used, apart from its signature. */
export interface RevocationList {
  /** DER of the issuer's name. */
  readonly issuer: Buffer;
  readonly thisUpdate: Date;
  readonly nextUpdate: Date;
  /** Which certificates it speaks of; a list without the extension speaks of all. */
  readonly scope: ListScope;
  readonly signed: SignedBytes;
  readonly sizeBytes: number;
  /** Why the certificate with this serial number was revoked; undefined when it is not listed. */
  reasonOf(serialNumber: Buffer): string | undefined;
}

/** What the issuingDistributionPoint extension says (RFC 5280 §5.2.5). */
export interface ListScope {
  readonly clients: boolean;
  readonly authorities: boolean;
  /** URLs of the part of a divided list that this is; undefined for the whole. */
  readonly points?: readonly string[];
}

/**
 * Reads a list from DER or PEM. pkijs is not used here: it refuses lists of more than about 1,200 entries and takes
 * 60 ms for those, where 250,000 take this reader 0.4 s, in slices of some milliseconds. Throws Problem('certificate_invalid') for
 * what is malformed, has no nextUpdate, or says something critical that we don't understand: a delta, an indirect list.
 */
export async function readRevocationList(bytes: Buffer): Promise<RevocationList> {
  const der = withoutPem(bytes);
  const [body, algorithm, signature, extra] = derChildren(readDer(der), derTag.sequence);
  if (body === undefined || algorithm === undefined || extra !== undefined) throw malformed();
  if (signature?.tag !== derTag.bitString || signature.content[0] !== 0) throw malformed();
  const fields = readFields(body);
  if (!fields.algorithm.raw.equals(algorithm.raw)) throw refused('names two signature algorithms');
  const reasons = await readEntries(fields.entries);
  return {
    issuer: fields.issuer.raw,
    thisUpdate: fields.thisUpdate,
    nextUpdate: fields.nextUpdate,
    scope: scopeOf(fields.extensions),
    signed: {
      algorithm: algorithm.raw,
      data: body.raw,
      signature: signature.content.subarray(1),
    },
    sizeBytes: der.length,
    reasonOf(serialNumber) {
      const code = reasons.get(keyOf(serialNumber));
      return code === undefined ? undefined : reasonText(code);
    },
  };
}

interface Fields {
  readonly algorithm: DerElement;
  readonly issuer: DerElement;
  readonly thisUpdate: Date;
  readonly nextUpdate: Date;
  readonly entries: DerElement | undefined;
  readonly extensions: DerElement | undefined;
}

const extensionsTag = 0xa0;

function readFields(body: DerElement): Fields {
  const fields = derChildren(body, derTag.sequence);
  const next = (tag: number) => (fields[0]?.tag === tag ? fields.shift() : undefined);
  next(derTag.integer); // the version
  const algorithm = next(derTag.sequence);
  const issuer = next(derTag.sequence);
  const [thisUpdate, nextUpdate] = [readTime(fields.shift()), readTime(fields.shift())];
  const entries = next(derTag.sequence);
  const extensions = next(extensionsTag);
  if (algorithm === undefined || issuer === undefined || fields.length > 0) throw malformed();
  return { algorithm, issuer, thisUpdate, nextUpdate, entries, extensions };
}

const entriesPerSlice = 2000;

/** Serial number → reason code. The event loop gets its turn in between: a list may have hundreds of thousands. */
async function readEntries(entries: DerElement | undefined): Promise<Map<string, number>> {
  const reasons = new Map<string, number>();
  if (entries === undefined) return reasons;
  let count = 0;
  for (const entry of eachDer(entries.content)) {
    const [serial, , extensions] = derChildren(entry, derTag.sequence);
    if (serial?.tag !== derTag.integer) throw malformed();
    reasons.set(keyOf(serial.content), reasonCode(extensions));
    count += 1;
    if (count % entriesPerSlice === 0) await nextTurn();
  }
  return reasons;
}

/** One character an octet: a third of the memory of hexadecimal digits in a buffer's wrapper. */
function keyOf(serialNumber: Buffer): string {
  return serialNumber.toString('latin1');
}

const reasonCodeId = '2.5.29.21';
const unspecified = 0;

function reasonCode(extensions: DerElement | undefined): number {
  if (extensions === undefined) return unspecified;
  const found = readExtensions(extensions);
  for (const [id, { critical }] of found) {
    if (critical && id !== reasonCodeId) throw refused(`has an entry with the critical ${id}`);
  }
  const value = found.get(reasonCodeId)?.value;
  return value === undefined ? unspecified : (readDer(value).content[0] ?? unspecified);
}

/** CRLReason (RFC 5280 §5.3.1). */
const reasonTexts: Readonly<Partial<Record<number, string>>> = {
  0: 'unspecified',
  1: 'key compromise',
  2: 'compromise of the authority',
  3: 'affiliation changed',
  4: 'superseded',
  5: 'cessation of operation',
  6: 'on hold',
  9: 'privilege withdrawn',
  10: 'compromise of the attribute authority',
};

/** The reason code of a list or an OCSP answer in words. */
export function reasonText(code: number): string {
  return reasonTexts[code] ?? `reason ${String(code)}`;
}

interface Extension {
  readonly critical: boolean;
  readonly value: Buffer;
}

function readExtensions(sequence: DerElement): Map<string, Extension> {
  const extensions = new Map<string, Extension>();
  for (const element of derChildren(sequence, derTag.sequence)) {
    const [type, ...rest] = derChildren(element, derTag.sequence);
    if (type?.tag !== derTag.objectIdentifier) throw malformed();
    const flag = rest[0]?.tag === derTag.boolean ? rest.shift() : undefined;
    const [value] = rest;
    const id = decodeObjectIdentifier(type.content);
    if (value?.tag !== derTag.octetString || extensions.has(id)) throw malformed();
    extensions.set(id, { critical: isTrue(flag), value: value.content });
  }
  return extensions;
}

function isTrue(element: DerElement | undefined): boolean {
  return element !== undefined && element.content[0] !== 0;
}

const scopeId = '2.5.29.28';
const deltaId = '2.5.29.27';
/** authorityKeyIdentifier, cRLNumber: of no consequence, because the signature is tried with the issuer's own keys. */
const understood: ReadonlySet<string> = new Set([scopeId, '2.5.29.35', '2.5.29.20']);

function scopeOf(wrapper: DerElement | undefined): ListScope {
  const extensions = wrapper === undefined ? new Map() : readExtensions(readDer(wrapper.content));
  if (extensions.has(deltaId)) throw refused('is a delta, which says only what changed');
  for (const [id, { critical }] of extensions as Map<string, Extension>) {
    if (critical && !understood.has(id)) throw refused(`has the critical extension ${id}`);
  }
  const value = (extensions as Map<string, Extension>).get(scopeId)?.value;
  return value === undefined ? { clients: true, authorities: true } : readScope(readDer(value));
}

const scopeTag = {
  point: 0xa0,
  clients: 0x81,
  authorities: 0x82,
  reasons: 0x83,
  indirect: 0x84,
  attributes: 0x85,
};

function readScope(element: DerElement): ListScope {
  const members = derChildren(element, derTag.sequence);
  const member = (tag: number) => members.find((candidate) => candidate.tag === tag);
  if (member(scopeTag.reasons) !== undefined) throw refused('knows some reasons only');
  if (isTrue(member(scopeTag.indirect))) throw refused('is indirect');
  if (isTrue(member(scopeTag.attributes))) throw refused('is about attribute certificates');
  const point = member(scopeTag.point);
  return {
    clients: !isTrue(member(scopeTag.authorities)),
    authorities: !isTrue(member(scopeTag.clients)),
    ...(point === undefined ? {} : { points: uriNames(point) }),
  };
}

const fullTime = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/;

/** UTCTime or GeneralizedTime in the one form that RFC 5280 §5.1.2.4 allows. */
function readTime(element: DerElement | undefined): Date {
  const text = fullTime.exec(withCentury(element))?.slice(1).join('-');
  if (text === undefined) throw refused('does not say when it was made, or until when it holds');
  const [year = 0, month = 0, day, hour, minute, second] = text.split('-').map(Number);
  return new Date(Date.UTC(year, month - 1, day, hour, minute, second));
}

/** The two digits of a UTCTime's year mean 1950 to 2049. */
function withCentury(element: DerElement | undefined): string {
  const text = element?.content.toString('latin1') ?? '';
  switch (element?.tag) {
    case derTag.utcTime:
      return `${text < '50' ? '20' : '19'}${text}`;
    case derTag.generalizedTime:
      return text;
    default:
      return '';
  }
}

const pemPattern = /-----BEGIN X509 CRL-----([\sA-Za-z\d+/=]+)-----END X509 CRL-----/;
const derFirst = 0x30;

function withoutPem(bytes: Buffer): Buffer {
  if (bytes[0] === derFirst) return bytes;
  const base64 = pemPattern.exec(bytes.toString('latin1'))?.[1];
  if (base64 === undefined) throw malformed();
  return Buffer.from(base64, 'base64');
}

function malformed(): Problem {
  return refused('is malformed');
}

function refused(why: string): Problem {
  return new Problem('certificate_invalid', { detail: `The revocation list ${why}.` });
}
