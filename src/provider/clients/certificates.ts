import type { X509Certificate } from 'node:crypto';
import type Koa from 'koa';
import type { RequestContext } from '../../observability/request-context.ts';
import {
  certificateSubjectMatches,
  explainSubjectMismatch,
} from '../../tls/names/certificate-subject.ts';
import type { CertificateSubjectProperty } from '../../tls/names/certificate-subject.ts';
import type { CertificateSource } from '../../tls/certificate-source.ts';
import type { Share } from '../ports.ts';

interface Dependencies {
  certificates: Pick<CertificateSource, 'of'>;
  currentRequest: () => RequestContext | undefined;
}

/** What is asked about the certificate that came with a request. A refusal is noted with the request, never told. */
export interface CertificateRules {
  /** The certificate, if its period and strength are in order. */
  getCertificate(ctx: Koa.Context): X509Certificate | undefined;
  certificateAuthorized(ctx: Koa.Context): boolean;
  certificateSubjectMatches(
    ctx: Koa.Context,
    property: CertificateSubjectProperty,
    expected: string,
  ): boolean;
  /** Its `x5t#S256` (RFC 8705 §3.1). */
  thumbprintOf(ctx: Koa.Context): string | undefined;
}

/** The rules for client certificates, from our own TLS termination or from a proxy that is known. */
export function certificateRules({ certificates, currentRequest }: Dependencies): CertificateRules {
  /** The caller learns that authentication failed; log and audit learn why. */
  function explain(reason: string): false {
    const request = currentRequest();
    if (request !== undefined) request.reason = reason;
    return false;
  }

  return {
    // Called for self-signed certificates too, of which nothing else checks the period and strength.
    getCertificate(ctx) {
      const presented = certificates.of(ctx.req);
      if (presented?.defect === undefined) return presented?.certificate;
      explain(presented.defect);
      return undefined;
    },
    certificateAuthorized(ctx) {
      const presented = certificates.of(ctx.req);
      if (presented === undefined) return explain('no client certificate');
      if (presented.refusal !== undefined) return explain(presented.refusal);
      return presented.chainTrusted;
    },
    certificateSubjectMatches(ctx, property, expected) {
      const presented = certificates.of(ctx.req);
      if (presented === undefined) return explain('no client certificate');
      if (certificateSubjectMatches(presented.certificate, property, expected)) return true;
      return explain(explainSubjectMismatch(presented.certificate, property, expected));
    },
    thumbprintOf: (ctx) => certificates.of(ctx.req)?.thumbprint,
  };
}

/** Client certificates (RFC 8705) as the engine is told of them. */
export function certificateShare(rules: CertificateRules): Share {
  return {
    features: {
      mTLS: {
        enabled: true,
        tlsClientAuth: true,
        selfSignedTlsClientAuth: true,
        certificateBoundAccessTokens: true,
        getCertificate: (ctx) => rules.getCertificate(ctx),
        certificateAuthorized: (ctx) => rules.certificateAuthorized(ctx),
        certificateSubjectMatches: (ctx, property, expected) =>
          rules.certificateSubjectMatches(ctx, property, expected),
      },
    },
  };
}
