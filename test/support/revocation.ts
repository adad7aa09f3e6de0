import { createPrivateKey, randomBytes, sign, webcrypto, X509Certificate } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import * as asn1js from 'asn1js';
import * as pkijs from 'pkijs';
import { systemClock } from '../../src/clock.ts';
import type { IssuedCertificate } from '../../src/development/certificate-authority.ts';
import type { CertificateExtension } from '../../src/development/certificate-builder.ts';
import {
  bitString,
  buildCertificate,
  objectIdentifier,
} from '../../src/development/certificate-builder.ts';
import { serialNumberOf, subjectElement } from '../../src/tls/certificate-fields.ts';
import { derTag, writeDer } from '../../src/tls/der.ts';
import { parseDistinguishedName } from '../../src/tls/names/distinguished-name-text.ts';
import { encodeDistinguishedName } from '../../src/tls/names/distinguished-name.ts';
import { newKeys } from './certificate-chains.ts';

const hour = 3_600_000;

/** The machine's time, moved by hours; certificates are valid by the machine's clock. */
export function hoursFromNow(hours: number): Date {
  return new Date(systemClock.now().getTime() + hours * hour);
}

/** The extension that names revocation lists. */
export function namesLists(...urls: readonly string[]): CertificateExtension {
  const points = urls.map((url) => {
    const fullName = writeDer(0xa0, writeDer(0x86, Buffer.from(url)));
    return writeDer(derTag.sequence, writeDer(0xa0, fullName));
  });
  return { id: '2.5.29.31', critical: false, value: writeDer(derTag.sequence, ...points) };
}

/** The extension that names an OCSP responder. */
export function namesResponder(url: string): CertificateExtension {
  const location = writeDer(0x86, Buffer.from(url));
  const access = writeDer(derTag.sequence, objectIdentifier('1.3.6.1.5.5.7.48.1'), location);
  return { id: '1.3.6.1.5.5.7.1.1', critical: false, value: writeDer(derTag.sequence, access) };
}

/** A certificate that names the authority as its issuer, but that somebody else signed. */
export function forgedCertificate(
  authority: IssuedCertificate,
  extensions: readonly CertificateExtension[],
): IssuedCertificate {
  const { publicKey, privateKey } = newKeys();
  const issuer = subjectElement(rawOf(authority)).raw;
  const period = { notBefore: hoursFromNow(-1), notAfter: hoursFromNow(1) };
  const subject = encodeDistinguishedName(parseDistinguishedName('CN=Forged'));
  const content = { subject, issuer, publicKey, ...period, extensions };
  return {
    certificatePem: buildCertificate(content, privateKey),
    privateKeyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

/** What a revocation list says; signed by its issuer and good for a day unless told. */
export interface ListOptions {
  revoked?: readonly IssuedCertificate[];
  /** CRLReason of every entry. */
  reason?: number;
  thisUpdate?: Date;
  nextUpdate?: Date | null;
  /** Whose key signs, when it is not the issuer's. */
  signer?: IssuedCertificate;
  extensions?: readonly CertificateExtension[];
  entryExtensions?: readonly CertificateExtension[];
}

/** The DER of a revocation list. */
export async function revocationList(
  issuer: IssuedCertificate,
  options: ListOptions = {},
): Promise<Buffer> {
  const list = new pkijs.CertificateRevocationList();
  list.version = 1;
  list.issuer = parsed(issuer).subject;
  list.thisUpdate = new pkijs.Time({ value: options.thisUpdate ?? hoursFromNow(-1) });
  const { nextUpdate = hoursFromNow(24) } = options;
  if (nextUpdate !== null) list.nextUpdate = new pkijs.Time({ value: nextUpdate });
  const entries = (options.revoked ?? []).map((certificate) => entryFor(certificate, options));
  if (entries.length > 0) list.revokedCertificates = entries;
  const extensions = (options.extensions ?? []).map(toPkijs);
  if (extensions.length > 0) list.crlExtensions = new pkijs.Extensions({ extensions });
  await list.sign(await signingKey(options.signer ?? issuer), 'SHA-256');
  return Buffer.from(derOf(list));
}

function entryFor(certificate: IssuedCertificate, options: ListOptions): pkijs.RevokedCertificate {
  const { reason, entryExtensions = [] } = options;
  const value = new asn1js.Enumerated({ value: reason ?? 0 }).toBER();
  const code =
    reason === undefined ? [] : [new pkijs.Extension({ extnID: '2.5.29.21', extnValue: value })];
  const extensions = [...code, ...entryExtensions.map(toPkijs)];
  return new pkijs.RevokedCertificate({
    userCertificate: parsed(certificate).serialNumber,
    revocationDate: new pkijs.Time({ value: hoursFromNow(-2) }),
    ...(extensions.length > 0 && {
      crlEntryExtensions: new pkijs.Extensions({ extensions }),
    }),
  });
}

/** A list with the certificate and `count` others; pkijs can't write one of more than a thousand entries. */
export function longRevocationList(
  issuer: IssuedCertificate,
  certificate: IssuedCertificate,
  count: number,
): Buffer {
  const { sequence, integer, utcTime } = derTag;
  const time = (moment: Date) => {
    const digits = moment.toISOString().replaceAll(/[-:T]/g, '').slice(2, 14);
    return writeDer(utcTime, Buffer.from(`${digits}Z`));
  };
  const entry = (serial: Buffer) =>
    writeDer(sequence, writeDer(integer, serial), time(hoursFromNow(-2)));
  const serials = Array.from({ length: count }, () => Buffer.from([0x40, ...randomBytes(15)]));
  const entries = [...serials, serialNumberOf(rawOf(certificate))].map(entry);
  const algorithm = writeDer(sequence, objectIdentifier('1.2.840.10045.4.3.2'));
  const body = writeDer(
    sequence,
    writeDer(integer, Buffer.from([1])),
    algorithm,
    subjectElement(rawOf(issuer)).raw,
    time(hoursFromNow(-1)),
    time(hoursFromNow(24)),
    writeDer(sequence, Buffer.concat(entries)),
  );
  const signature = sign('sha256', body, createPrivateKey(issuer.privateKeyPem));
  return writeDer(sequence, body, algorithm, bitString(signature));
}

function rawOf({ certificatePem }: IssuedCertificate): Buffer {
  return new X509Certificate(certificatePem).raw;
}

/** pkijs gives `any` here. */
function derOf(list: pkijs.CertificateRevocationList): ArrayBuffer {
  const schema = list.toSchema() as asn1js.Sequence;
  return schema.toBER();
}

/** What a responder says; by the issuer itself, good for a day, with the nonce of the request unless told. */
export interface AnswerOptions {
  status?: 'good' | 'revoked' | 'unknown';
  reason?: number;
  thisUpdate?: Date;
  nextUpdate?: Date | null;
  producedAt?: Date;
  signer?: IssuedCertificate;
  /** Certificates that go along. */
  certificates?: readonly IssuedCertificate[];
  nonce?: 'echo' | 'none' | 'wrong';
  extensions?: readonly CertificateExtension[];
  /** The status of this one instead of the one that was asked for. */
  about?: IssuedCertificate;
}

/** The DER of an answer to the DER of a request. */
export async function ocspAnswer(
  issuer: IssuedCertificate,
  request: Buffer,
  options: AnswerOptions = {},
): Promise<Buffer> {
  const { tbsRequest } = pkijs.OCSPRequest.fromBER(new Uint8Array(request));
  const answer = new pkijs.BasicOCSPResponse();
  const data = answer.tbsResponseData;
  data.responderID = parsed(options.signer ?? issuer).subject;
  data.responses = [singleAnswer(tbsRequest, options)];
  data.producedAt = options.producedAt ?? hoursFromNow(-1);
  const extensions = [...nonceFor(tbsRequest, options), ...(options.extensions ?? []).map(toPkijs)];
  if (extensions.length > 0) data.responseExtensions = extensions;
  if (options.certificates !== undefined) answer.certs = options.certificates.map(parsed);
  await answer.sign(await signingKey(options.signer ?? issuer), 'SHA-256');
  return successful(answer);
}

function singleAnswer(request: pkijs.TBSRequest, options: AnswerOptions): pkijs.SingleResponse {
  const certID = request.requestList[0]?.reqCert ?? new pkijs.CertID();
  if (options.about !== undefined) certID.serialNumber = parsed(options.about).serialNumber;
  const { thisUpdate = hoursFromNow(-1), nextUpdate = hoursFromNow(24) } = options;
  return new pkijs.SingleResponse({
    certID,
    certStatus: statusFor(options),
    thisUpdate,
    ...(nextUpdate !== null && { nextUpdate }),
  });
}

function successful(answer: pkijs.BasicOCSPResponse): Buffer {
  const response = new pkijs.OCSPResponse({
    responseStatus: new asn1js.Enumerated({ value: 0 }),
    responseBytes: new pkijs.ResponseBytes({
      responseType: pkijs.id_PKIX_OCSP_Basic,
      response: new asn1js.OctetString({ valueHex: answer.toSchema().toBER() }),
    }),
  });
  return Buffer.from(response.toSchema().toBER());
}

const contextClass = 3;

function statusFor({ status = 'good', reason }: AnswerOptions): asn1js.BaseBlock {
  if (status !== 'revoked') {
    const tagNumber = status === 'good' ? 0 : 2;
    return new asn1js.Primitive({ idBlock: { tagClass: contextClass, tagNumber } });
  }
  const code = new asn1js.Constructed({
    idBlock: { tagClass: contextClass, tagNumber: 0 },
    value: [new asn1js.Enumerated({ value: reason ?? 0 })],
  });
  return new asn1js.Constructed({
    idBlock: { tagClass: contextClass, tagNumber: 1 },
    value: [
      new asn1js.GeneralizedTime({ valueDate: hoursFromNow(-2) }),
      ...(reason === undefined ? [] : [code]),
    ],
  });
}

const nonceId = '1.3.6.1.5.5.7.48.1.2';

function nonceFor(request: pkijs.TBSRequest, { nonce = 'echo' }: AnswerOptions): pkijs.Extension[] {
  const sent = request.requestExtensions?.find(({ extnID }) => extnID === nonceId);
  if (nonce === 'none' || sent === undefined) return [];
  if (nonce === 'echo') return [sent];
  const value = writeDer(derTag.octetString, Buffer.alloc(32, 1));
  return [toPkijs({ id: nonceId, critical: false, value })];
}

function toPkijs({ id, critical, value }: CertificateExtension): pkijs.Extension {
  return new pkijs.Extension({
    extnID: id,
    critical,
    extnValue: new Uint8Array(value).buffer,
  });
}

function parsed({ certificatePem }: IssuedCertificate): pkijs.Certificate {
  return pkijs.Certificate.fromBER(new Uint8Array(new X509Certificate(certificatePem).raw));
}

function signingKey({ privateKeyPem }: IssuedCertificate): Promise<webcrypto.CryptoKey> {
  const der = createPrivateKey(privateKeyPem).export({ type: 'pkcs8', format: 'der' });
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
  return webcrypto.subtle.importKey('pkcs8', new Uint8Array(der), algorithm, false, ['sign']);
}

/** What is answered at a path: bytes, or what makes them of the request's body. */
export type RevocationDocument = Buffer | ((body: Buffer) => Promise<Buffer>);

/** An authority's web server, plain http as they are. */
export interface RevocationServer {
  readonly host: string;
  url(path: string): string;
  readonly documents: Map<string, RevocationDocument>;
  /** The paths that were asked for, one entry a request. */
  readonly reached: string[];
  close(): Promise<void>;
}

/** Answers 404 where there is no document. */
export async function startRevocationServer(): Promise<RevocationServer> {
  const documents = new Map<string, RevocationDocument>();
  const reached: string[] = [];
  const server = createServer((request, response) => {
    const path = request.url ?? '';
    reached.push(path);
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const document = documents.get(path);
      if (document === undefined) response.writeHead(404).end();
      else if (Buffer.isBuffer(document)) response.end(document);
      else {
        void document(Buffer.concat(chunks)).then(
          (answer) => response.end(answer),
          () => response.writeHead(500).end(),
        );
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const host = `127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  return {
    host,
    url: (path) => `http://${host}${path}`,
    documents,
    reached,
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}
