import type { X509Certificate } from 'node:crypto';
import { extensionsOf, extensionValue, signatureAlgorithmElement } from './certificate-fields.ts';
import { decodeObjectIdentifier, derChildren, derTag, readDer, type DerElement } from './der.ts';
import { keyDefects, purposeDefects, validityDefects } from './certificate-defects.ts';

/** Where an authority stands in a path, and when. */
interface Position {
  /** Certificates between it and the leaf that are not self-issued. */
  readonly intermediates: number;
  readonly now: Date;
}

/** Why an authority's certificate can't be a link of a client's path; undefined when it can. */
export function authorityDefect(
  authority: X509Certificate,
  { intermediates, now }: Position,
): string | undefined {
  const who = `the authority ${JSON.stringify(authority.subject.replaceAll('\n', ', '))}`;
  const defects = [
    ...(authority.ca ? [] : ['is not an authority']),
    ...validityDefects(authority, now),
    ...purposeDefects(authority),
    ...keyDefects(authority.publicKey),
    ...pathLengthDefects(authority, intermediates),
    ...[unknownCritical(authority) ?? []].flat(),
    // A root's own signature proves nothing, so nobody looks at it (RFC 5280 §6.1).
    ...[authority.checkIssued(authority) ? [] : (weakSignature(authority) ?? [])].flat(),
  ];
  return defects.length === 0 ? undefined : `${who}: ${defects.join(', ')}`;
}

/** What OpenSSL would refuse in the leaf when it builds a path; undefined when there is nothing. */
export function leafDefect(leaf: X509Certificate): string | undefined {
  return unknownCritical(leaf) ?? weakSignature(leaf) ?? keyUsageDefect(leaf);
}

const basicConstraintsId = '2.5.29.19';
const keyUsageId = '2.5.29.15';

function pathLengthDefects({ raw }: X509Certificate, intermediates: number): string[] {
  const value = extensionValue(raw, basicConstraintsId);
  if (value === undefined) return [];
  const limit = derChildren(readDer(value), derTag.sequence).find(
    ({ tag }) => tag === derTag.integer,
  );
  if (limit === undefined) return [];
  const most = limit.content.length === 1 ? (limit.content[0] ?? 0) : Infinity;
  return intermediates > most ? [`allows ${String(most)} authorities below it`] : [];
}

const digitalSignature = 0x80;
const keyAgreement = 0x08;

/** RFC 5280 §4.2.1.3; what OpenSSL asks of a TLS client. */
function keyUsageDefect({ raw }: X509Certificate): string | undefined {
  const value = extensionValue(raw, keyUsageId);
  if (value === undefined) return undefined;
  const bits = readDer(value).content[1] ?? 0;
  const isForClients = (bits & (digitalSignature | keyAgreement)) !== 0;
  return isForClients ? undefined : 'the key usage does not include digitalSignature';
}

/** Those that are processed here or by OpenSSL's rules for connections without certificate policies. */
const knownExtensions = new Set([
  ...[keyUsageId, basicConstraintsId, '2.5.29.17', '2.5.29.30', '2.5.29.37'],
  ...['2.5.29.32', '2.5.29.33', '2.5.29.36', '2.5.29.54'],
]);

function unknownCritical({ raw }: X509Certificate): string | undefined {
  const unknown = extensionsOf(raw).find(
    ({ id, critical }) => critical && !knownExtensions.has(id),
  );
  return unknown && `the critical extension ${unknown.id} is not understood`;
}

const pssId = '1.2.840.113549.1.1.10';
/** MD2, MD5 and SHA-1 with RSA, and SHA-1 with DSA and ECDSA. */
const weakAlgorithms = new Set([
  ...['1.2.840.113549.1.1.2', '1.2.840.113549.1.1.4', '1.2.840.113549.1.1.5'],
  ...['1.2.840.10040.4.3', '1.2.840.10045.4.1', '1.3.14.3.2.29'],
]);

function weakSignature({ raw }: X509Certificate): string | undefined {
  const [type, parameters] = derChildren(signatureAlgorithmElement(raw), derTag.sequence);
  const id = type === undefined ? '' : decodeObjectIdentifier(type.content);
  const isWeak = id === pssId ? isSha1Pss(parameters) : weakAlgorithms.has(id);
  return isWeak ? `it is signed by a weak algorithm (${id})` : undefined;
}

/** RFC 4055 §3.1: SHA-1 is what no hash algorithm means. */
function isSha1Pss(parameters: DerElement | undefined): boolean {
  if (parameters?.tag !== derTag.sequence) return true;
  const hash = derChildren(parameters, derTag.sequence).find(({ tag }) => tag === 0xa0);
  if (hash === undefined) return true;
  const [type] = derChildren(readDer(hash.content), derTag.sequence);
  return type === undefined || decodeObjectIdentifier(type.content) === '1.3.14.3.2.26';
}
