import type { X509Certificate } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { AuditEntry } from '../../audit/events.ts';

/** A client certificate as this request proved it. */
export interface PresentedCertificate {
  certificate: X509Certificate;
  /** `x5t#S256`. */
  thumbprint: string;
  /** Why it is not good enough: chain, validity, purpose, key, revocation; undefined when it is. */
  refusal?: string | undefined;
}

/** The certificate of a request; the process's certificate source fits. */
export type CertificateOf = (request: IncomingMessage) => PresentedCertificate | undefined;

/**
 * The roles that a QWAC's PSD2 statement names (ETSI TS 119 495), such as `PSP_AI`; none of a certificate without the
 * statement, or for another use. Problem('certificate_invalid') for a malformed one.
 */
export type RolesOfCertificate = (certificate: X509Certificate) => readonly string[];

/** Where events go; the trail of `audit/` fits. */
export interface Recorder {
  record(entry: AuditEntry): void;
}
