import { createHash, type X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Clock } from '../clock.ts';
import { keyDefects, purposeDefects, validityDefects } from './certificate-defects.ts';

/** The certificate that a client proved to hold in the handshake, judged at the present moment. */
export interface ClientCertificate {
  readonly certificate: X509Certificate;
  /** `x5t#S256` (RFC 8705 §3.1): base64url of SHA-256 over the DER, 43 characters. */
  readonly thumbprint: string;
  /** Itself, then what a proxy told of its issuers: the path to the truststore where there is one. */
  readonly chain: readonly X509Certificate[];
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

/** What can be said of a certificate once, whatever the time. */
export interface CertificateFacts {
  readonly certificate: X509Certificate;
  readonly thumbprint: string;
  /** See {@link ClientCertificate.chain}. */
  readonly chain: readonly X509Certificate[];
  readonly validFromDate: Date;
  readonly validToDate: Date;
  /** What speaks against who signed it. */
  readonly chainRefusals: readonly string[];
  /** What speaks against itself. */
  readonly defects: readonly string[];
  /** What is to be said of it within its validity period. */
  readonly standing: ClientCertificate;
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
  return judgeCertificate(facts, clock);
}

/** The facts of a certificate that `chainRefusals` speak against, if any. */
export function certificateFacts(
  certificate: X509Certificate,
  chain: readonly X509Certificate[],
  chainRefusals: readonly string[],
): CertificateFacts {
  // Only here: `openssl req -x509` marks every self-signed certificate as an authority.
  const refusals = certificate.ca ? [...chainRefusals, authorityRefusal] : chainRefusals;
  const facts = {
    certificate,
    thumbprint: certificateThumbprint(certificate),
    chain,
    validFromDate: certificate.validFromDate,
    validToDate: certificate.validToDate,
    chainRefusals: refusals,
    defects: [...purposeDefects(certificate), ...keyDefects(certificate.publicKey)],
  };
  return { ...facts, standing: judged(facts, []) };
}

const authorityRefusal = 'the certificate of an authority is not for clients';

/** The certificate at the present moment. */
export function judgeCertificate(facts: CertificateFacts, clock: Clock): ClientCertificate {
  const untimely = validityDefects(facts, clock.now());
  return untimely.length === 0 ? facts.standing : judged(facts, untimely);
}

function judged(
  facts: Omit<CertificateFacts, 'standing'>,
  untimely: readonly string[],
): ClientCertificate {
  const { certificate, thumbprint, chain } = facts;
  const defects = [...untimely, ...facts.defects];
  const refusals = [...facts.chainRefusals, ...defects];
  return {
    certificate,
    thumbprint,
    chain,
    chainTrusted: refusals.length === 0,
    ...(defects.length > 0 && { defect: defects.join('; ') }),
    ...(refusals.length > 0 && { refusal: refusals.join('; ') }),
  };
}

/** The `x5t#S256` thumbprint of a certificate (RFC 8705 §3.1). */
export function certificateThumbprint(certificate: Pick<X509Certificate, 'raw'>): string {
  return createHash('sha256').update(certificate.raw).digest('base64url');
}

const factsBySocket = new WeakMap<TLSSocket, CertificateFacts>();

function readFacts(socket: TLSSocket): CertificateFacts | undefined {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return undefined;
  // Node types this as an Error, but on a server it is OpenSSL's code, such as CERT_UNTRUSTED.
  const reason = String(socket.authorizationError);
  const refusals = socket.authorized ? [] : [`the chain is not trusted (${reason})`];
  // Node 24.21 does not tell what came with it (nodejs/node issue 65579).
  return certificateFacts(certificate, [certificate], refusals);
}
