import type { RequestContext } from '../../observability/request-context.ts';
import {
  certificateSubjectMatches,
  explainSubjectMismatch,
} from '../../tls/names/certificate-subject.ts';
import type { CertificateSource } from '../../tls/certificate-source.ts';
import type { Share } from '../ports.ts';

interface Dependencies {
  certificates: Pick<CertificateSource, 'of'>;
  currentRequest: () => RequestContext | undefined;
}

/** Client certificates (RFC 8705), from our own TLS termination or from a proxy that is known. */
export function certificateShare({ certificates, currentRequest }: Dependencies): Share {
  /** The caller learns that authentication failed; log and audit learn why. */
  function explain(reason: string): false {
    const request = currentRequest();
    if (request !== undefined) request.reason = reason;
    return false;
  }

  return {
    features: {
      mTLS: {
        enabled: true,
        tlsClientAuth: true,
        selfSignedTlsClientAuth: true,
        certificateBoundAccessTokens: true,
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
      },
    },
  };
}
