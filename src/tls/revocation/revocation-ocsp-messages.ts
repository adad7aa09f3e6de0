import { createHash, X509Certificate } from 'node:crypto';
import * as asn1js from 'asn1js';
import * as pkijs from 'pkijs';
import { Problem } from '../../problem.ts';
import { extensionValue, subjectElement } from '../certificate-fields.ts';
import { derChildren, derTag, encodeObjectIdentifier, readDer, writeDer } from '../der.ts';
import { reasonText } from './revocation-crl.ts';
import { isFuture, type Period, type Verdict } from './revocation-verdict.ts';
import { verifySignature } from './signature.ts';

/** What names a certificate to a responder (RFC 6960 §4.1.1). */
export interface CertificateId {
  readonly issuerNameHash: Buffer;
  readonly issuerKeyHash: Buffer;
  readonly serialNumber: Buffer;
}

/** An answer about one certificate whose signature was verified. */
export interface OcspAnswer extends Period {
  readonly verdict: Verdict;
}

const sha1Id = '1.3.14.3.2.26';

/** With SHA-1, the one digest that every responder knows (RFC 5019 §2.1.1); nothing rests on its strength. */
export function certificateIdOf(issuer: X509Certificate, serialNumber: Buffer): CertificateId {
  const key = readDer(issuer.publicKey.export({ type: 'spki', format: 'der' }));
  const bits = derChildren(key, derTag.sequence)[1]?.content.subarray(1) ?? Buffer.alloc(0);
  const sha1 = (bytes: Buffer) => createHash('sha1').update(bytes).digest();
  const issuerNameHash = sha1(subjectElement(issuer.raw).raw);
  return { issuerNameHash, issuerKeyHash: sha1(bits), serialNumber };
}

const nonceId = '1.3.6.1.5.5.7.48.1.2';

/** The DER of a request with a nonce (RFC 6960 §4.1.1, RFC 9654 §2.1). */
export function ocspRequest(id: CertificateId, nonce: Buffer): Buffer {
  const { sequence, octetString, integer } = derTag;
  const algorithm = writeDer(sequence, objectId(sha1Id), writeDer(0x05));
  const certificateId = writeDer(
    sequence,
    algorithm,
    writeDer(octetString, id.issuerNameHash),
    writeDer(octetString, id.issuerKeyHash),
    writeDer(integer, id.serialNumber),
  );
  const list = writeDer(sequence, writeDer(sequence, certificateId));
  const value = writeDer(octetString, writeDer(octetString, nonce));
  const extension = writeDer(sequence, objectId(nonceId), value);
  return writeDer(
    sequence,
    writeDer(sequence, list, writeDer(0xa2, writeDer(sequence, extension))),
  );
}

function objectId(dotted: string): Buffer {
  return writeDer(derTag.objectIdentifier, encodeObjectIdentifier(dotted));
}

/** What an answer is measured by. */
export interface OcspExpectation {
  readonly id: CertificateId;
  readonly nonce: Buffer;
  readonly issuer: X509Certificate;
  readonly now: Date;
  readonly isRevoked: (responder: X509Certificate) => Promise<boolean>;
  /** Until when an answer without nextUpdate holds. */
  readonly assumedEnd: (thisUpdate: Date) => Date;
}

/**
 * Reads and verifies an answer (RFC 6960 §3.2 and §4.2): about this certificate, signed by the issuer or by a responder
 * that the issuer gave the purpose to, with our nonce if it has one, nothing critical in it that we don't understand.
 * Whether it still holds is not judged here. Problem('certificate_invalid').
 */
export async function readOcspAnswer(
  bytes: Buffer,
  expected: OcspExpectation,
): Promise<OcspAnswer> {
  const answer = parse(bytes);
  await rejectUnlessSigned(answer, expected);
  const { tbsResponseData: data } = answer;
  rejectCritical(data.responseExtensions);
  rejectForeignNonce(data.responseExtensions, expected.nonce);
  if (isFuture(data.producedAt, expected.now)) throw refused('is from the future');
  const single = data.responses.find((one) => isAbout(one.certID, expected.id));
  if (single === undefined) throw refused('is about another certificate');
  rejectCritical(single.singleExtensions);
  const { thisUpdate, nextUpdate = expected.assumedEnd(thisUpdate) } = single;
  return { thisUpdate, nextUpdate, verdict: verdictOf(single.certStatus) };
}

const statusTexts: Readonly<Partial<Record<number, string>>> = {
  1: 'the request was malformed',
  2: 'internal error',
  3: 'try later',
  5: 'the request must be signed',
  6: 'not authorized',
};

function parse(bytes: Buffer): pkijs.BasicOCSPResponse {
  const { responseStatus, responseBytes } = parsed(() => pkijs.OCSPResponse.fromBER(bytes));
  const status = responseStatus.valueBlock.valueDec;
  if (status !== 0) throw refused(`is no answer (${statusTexts[status] ?? String(status)})`);
  if (responseBytes?.responseType !== pkijs.id_PKIX_OCSP_Basic) throw refused('has another type');
  const { valueHexView } = responseBytes.response.valueBlock;
  return parsed(() => pkijs.BasicOCSPResponse.fromBER(valueHexView));
}

function parsed<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    const detail = 'The OCSP answer is malformed.';
    throw new Problem('certificate_invalid', { detail, cause });
  }
}

/**
 * The responder's name in the answer is not looked at: it says which key to try, and here all that may sign are tried.
 */
async function rejectUnlessSigned(
  answer: pkijs.BasicOCSPResponse,
  expected: OcspExpectation,
): Promise<void> {
  const signed = {
    algorithm: Buffer.from(answer.signatureAlgorithm.toSchema().toBER()),
    data: Buffer.from(answer.tbsResponseData.tbsView),
    signature: Buffer.from(answer.signature.valueBlock.valueHexView),
  };
  if (await verifySignature(expected.issuer.publicKey, signed)) return;
  const refusals: string[] = [];
  for (const responder of (answer.certs ?? []).slice(0, maxResponders).map(certificateOf)) {
    if (!(await verifySignature(responder.publicKey, signed))) continue;
    const refusal = await responderRefusal(responder, expected);
    if (refusal === undefined) return;
    refusals.push(refusal);
  }
  throw refused(`is not signed by the issuer or a responder of it (${refusals.join('; ')})`);
}

const maxResponders = 4;

function certificateOf(certificate: pkijs.Certificate): X509Certificate {
  return parsed(() => new X509Certificate(Buffer.from(certificate.toSchema().toBER())));
}

const ocspSigningId = '1.3.6.1.5.5.7.3.9';
const noCheckId = '1.3.6.1.5.5.7.48.1.5';

/** RFC 6960 §4.2.2.2: what speaks against a responder that is not the issuer. */
async function responderRefusal(
  responder: X509Certificate,
  { issuer, now, isRevoked }: OcspExpectation,
): Promise<string | undefined> {
  if (!responder.checkIssued(issuer) || !responder.verify(issuer.publicKey)) {
    return 'the responder has another issuer';
  }
  // @types/node says string[], but Node gives undefined when the extension is absent.
  const purposes = responder.keyUsage as readonly string[] | undefined;
  if (purposes?.includes(ocspSigningId) !== true) return 'the responder lacks the purpose';
  if (now < responder.validFromDate || now > responder.validToDate) return 'the responder expired';
  if (extensionValue(responder.raw, noCheckId) !== undefined) return undefined;
  return (await isRevoked(responder)) ? 'the responder was revoked' : undefined;
}

function rejectCritical(extensions: readonly pkijs.Extension[] = []): void {
  const stranger = extensions.find(({ critical, extnID }) => critical && extnID !== nonceId);
  if (stranger !== undefined) throw refused(`has the critical extension ${stranger.extnID}`);
}

/** Answers that were made beforehand have none (RFC 5019 §4); one that is there must be ours. */
function rejectForeignNonce(extensions: readonly pkijs.Extension[] = [], nonce: Buffer): void {
  const found = extensions.find(({ extnID }) => extnID === nonceId);
  if (found === undefined) return;
  const value = Buffer.from(found.extnValue.valueBlock.valueHexView);
  if (!value.equals(writeDer(derTag.octetString, nonce))) throw refused('answers another request');
}

function isAbout(found: pkijs.CertID, id: CertificateId): boolean {
  const same = (view: Uint8Array, bytes: Buffer) => withoutZeros(view).equals(withoutZeros(bytes));
  return (
    found.hashAlgorithm.algorithmId === sha1Id &&
    id.issuerNameHash.equals(found.issuerNameHash.valueBlock.valueHexView) &&
    id.issuerKeyHash.equals(found.issuerKeyHash.valueBlock.valueHexView) &&
    same(found.serialNumber.valueBlock.valueHexView, id.serialNumber)
  );
}

/** A positive number may begin with a zero octet, which keeps the sign away. */
function withoutZeros(view: Uint8Array): Buffer {
  const bytes = Buffer.from(view);
  return bytes.subarray(
    Math.max(
      0,
      bytes.findIndex((byte) => byte !== 0),
    ),
  );
}

const statusTag = { good: 0, revoked: 1 };

function verdictOf(status: unknown): Verdict {
  if (status instanceof asn1js.Primitive && status.idBlock.tagNumber === statusTag.good) {
    return { status: 'good' };
  }
  if (status instanceof asn1js.Constructed && status.idBlock.tagNumber === statusTag.revoked) {
    return { status: 'revoked', reason: `${reasonText(reasonCodeIn(status))} (OCSP)` };
  }
  return { status: 'unknown', reason: 'The responder does not know the certificate' };
}

/** RevokedInfo: the time, and the reason within `[0]`. */
function reasonCodeIn(revoked: asn1js.Constructed): number {
  const wrapper = revoked.valueBlock.value[1];
  const code = wrapper instanceof asn1js.Constructed ? wrapper.valueBlock.value[0] : undefined;
  return code instanceof asn1js.Enumerated ? code.valueBlock.valueDec : 0;
}

function refused(why: string): Problem {
  return new Problem('certificate_invalid', { detail: `The OCSP answer ${why}.` });
}
