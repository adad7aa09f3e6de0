import { Problem } from '../../problem.ts';

/** A certificate as a proxy told of it: DER, and what else of its chain was sent with it. */
export interface ForwardedCertificate {
  readonly leaf: Buffer;
  /** The other certificates in the order in which they came; none when the proxy sends none. */
  readonly chain: readonly Buffer[];
}

/** A leaf and seven others: no directory's chains are longer. */
export const maxForwardedCertificates = 8;

/** DER; certificates under ETSI EN 319 412 with all their statements stay below 4 KiB. */
const maxCertificateBytes = 8192;

/** The refusal of a header; the caller reads "not valid", the log reads why. */
export function unreadable(why: string): Problem {
  return new Problem('invalid_request', { detail: `the forwarded certificate: ${why}` });
}

const base64Text = /^[a-z\d+/]+={0,2}$/i;

/** The bytes of base64 in its one canonical form (RFC 4648 §3.5). Problem('invalid_request'). */
export function bytesOfBase64(text: string): Buffer {
  const bytes = Buffer.from(text, 'base64');
  if (!base64Text.test(text) || bytes.toString('base64') !== text) throw unreadable('no base64');
  if (bytes.length > maxCertificateBytes * maxForwardedCertificates) throw unreadable('too large');
  return bytes;
}

/** One certificate's DER from base64. Problem('invalid_request'). */
export function derOfBase64(text: string): Buffer {
  const der = bytesOfBase64(text);
  if (der.length > maxCertificateBytes) throw unreadable('a certificate is too large');
  return der;
}

/** RFC 3986 §2.1, where a plus sign stands for itself. Problem('invalid_request'). */
export function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw unreadable('the percent-encoding is broken');
  }
}

const pemBlock =
  /-----BEGIN CERTIFICATE-----\r?\n([A-Za-z\d+/=\r\n]+)-----END CERTIFICATE-----(?:\r?\n|$)/y;

/** The DER of PEM blocks with nothing before, between and behind them. Problem('invalid_request'). */
export function dersOfPem(text: string): Buffer[] {
  const ders: Buffer[] = [];
  pemBlock.lastIndex = 0;
  for (let end = 0; end < text.length; end = pemBlock.lastIndex) {
    const block = pemBlock.exec(text)?.[1];
    if (block === undefined) throw unreadable('no PEM certificate, or more than that');
    if (ders.length === maxForwardedCertificates) throw unreadable('too many certificates');
    ders.push(derOfBase64(block.replaceAll(/[\r\n]/g, '')));
  }
  return ders;
}

/** The first is the client's, as every proxy sends it. Problem('invalid_request') for none. */
export function leafFirst([leaf, ...chain]: readonly Buffer[]): ForwardedCertificate {
  if (leaf === undefined) throw unreadable('empty');
  if (chain.length >= maxForwardedCertificates) throw unreadable('too many certificates');
  return { leaf, chain };
}
