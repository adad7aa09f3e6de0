import { createHash, type KeyObject, type X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Clock } from '../clock.ts';

/** The certificate that a client proved to hold in the handshake, judged at the present moment. */
export interface ClientCertificate {
  readonly certificate: X509Certificate;
  /** `x5t#S256` (RFC 8705 §3.1): base64url of SHA-256 over the DER, 43 characters. */
  readonly thumbprint: string;
  /** The chain led to the truststore and there is no `refusal`: good for `tls_client_auth`. */
  readonly chainTrusted: boolean;
  /**
   * What speaks against the certificate itself, whoever signed it: validity, purpose, key. Decides
   * for `self_signed_tls_client_auth`, where the chain does not count (RFC 8705 §2.2).
   */
  readonly defect?: string;
  /** Every reason why `chainTrusted` is false, for the log. */
  readonly refusal?: string;
}

/**
 * The client certificate of a connection, undefined without one or without TLS. The chain's verdict dates from the
 * handshake and is cached with the socket; the validity period is checked at every call, because a
 * connection may outlive its certificate.
 */
export function clientCertificateOf(socket: Socket, clock: Clock): ClientCertificate | undefined {
  if (!(socket instanceof TLSSocket)) return undefined;
  const facts = factsBySocket.get(socket) ?? readFacts(socket);
  if (facts === undefined) return undefined;
  factsBySocket.set(socket, facts);
  const { certificate, thumbprint } = facts;
  const defects = [...validityDefects(facts, clock), ...facts.defects];
  const refusals = [...facts.chainRefusals, ...defects];
  return {
    certificate,
    thumbprint,
    chainTrusted: refusals.length === 0,
    ...(defects.length > 0 && { defect: defects.join('; ') }),
    ...(refusals.length > 0 && { refusal: refusals.join('; ') }),
  };
}

/** The `x5t#S256` thumbprint of a certificate (RFC 8705 §3.1). */
export function certificateThumbprint(certificate: Pick<X509Certificate, 'raw'>): string {
  return createHash('sha256').update(certificate.raw).digest('base64url');
}

interface Facts {
  readonly certificate: X509Certificate;
  readonly thumbprint: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly chainRefusals: readonly string[];
  readonly defects: readonly string[];
}

const factsBySocket = new WeakMap<TLSSocket, Facts>();

function readFacts(socket: TLSSocket): Facts | undefined {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return undefined;
  return {
    certificate,
    thumbprint: certificateThumbprint(certificate),
    notBefore: certificate.validFromDate,
    notAfter: certificate.validToDate,
    chainRefusals: chainRefusals(socket, certificate),
    defects: [...purposeDefects(certificate), ...keyDefects(certificate.publicKey)],
  };
}

function chainRefusals(socket: TLSSocket, certificate: X509Certificate): string[] {
  const refusals: string[] = [];
  if (!socket.authorized) {
    // Node types this as an Error, but on a server it is OpenSSL's code, such as CERT_UNTRUSTED.
    const reason = String(socket.authorizationError);
    refusals.push(`the chain is not trusted (${reason})`);
  }
  // Only here: `openssl req -x509` marks every self-signed certificate as an authority.
  if (certificate.ca) refusals.push('the certificate of an authority is not for clients');
  return refusals;
}

function validityDefects({ notBefore, notAfter }: Facts, clock: Clock): string[] {
  const now = clock.now();
  if (now < notBefore) return [`not valid before ${notBefore.toISOString()}`];
  if (now > notAfter) return [`expired at ${notAfter.toISOString()}`];
  return [];
}

const clientAuthId = '1.3.6.1.5.5.7.3.2';

function purposeDefects(certificate: X509Certificate): string[] {
  // @types/node says string[], but Node gives undefined when the extension is absent.
  const purposes = certificate.keyUsage as readonly string[] | undefined;
  if (purposes === undefined || purposes.includes(clientAuthId)) return [];
  return [`the extended key usage ${purposes.join(' ')} does not include clientAuth`];
}

const minRsaBits = 2048;
/** Curves of 224 bits or more (FAPI 2.0 §5.4.1) by the names that Node gives them. */
const acceptedCurves: ReadonlySet<string> = new Set([
  'secp224r1',
  'prime256v1',
  'secp256k1',
  'secp384r1',
  'secp521r1',
  'brainpoolP256r1',
  'brainpoolP384r1',
  'brainpoolP512r1',
]);

function keyDefects({ asymmetricKeyType, asymmetricKeyDetails = {} }: KeyObject): string[] {
  const { modulusLength = 0, namedCurve = 'unnamed' } = asymmetricKeyDetails;
  switch (asymmetricKeyType) {
    case 'rsa':
    case 'rsa-pss':
      return modulusLength >= minRsaBits ? [] : [`the RSA key has ${String(modulusLength)} bits`];
    case 'ec':
      return acceptedCurves.has(namedCurve) ? [] : [`the curve ${namedCurve} is not accepted`];
    case 'ed25519':
      return [];
    default:
      return [`keys of type ${String(asymmetricKeyType)} are not accepted`];
  }
}
