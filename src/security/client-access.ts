import type { IncomingMessage } from 'node:http';
import { Problem } from '../problem.ts';

/** A client's own access token; the provider's fits. */
export interface ClientToken {
  clientId: string;
  scopes: readonly string[];
  audiences: readonly string[];
  /** `x5t#S256` of the certificate that it is bound to. */
  thumbprint: string | undefined;
}

/** A client-credentials token that is valid and not revoked; undefined for anything else. */
export type FindClientToken = (token: string) => Promise<ClientToken | undefined>;

/** A client certificate as this request proved it; `refusal` says why it is not good enough. */
export interface PresentedCertificate {
  thumbprint: string;
  refusal?: string | undefined;
}

/** The certificate of a request; the process's certificate source fits. */
export type CertificateOf = (request: IncomingMessage) => PresentedCertificate | undefined;

/** What a client proves with a request about what is its own. */
export interface ClientProof {
  /** The token of `Authorization: Bearer`. */
  token: string | undefined;
  certificate: PresentedCertificate | undefined;
}

/**
 * Says which client a request is from: it needs a client-credentials token of its own, for `resource`, with `scope`, bound to
 * the certificate of this connection (RFC 8705 §3). Problem('invalid_token'), or Problem('insufficient_scope') for a
 * good token without the scope.
 */
export function createClientAccess(deps: {
  findClientToken: FindClientToken;
  resource: string | undefined;
}) {
  return async function authorize(proof: ClientProof, scope: string): Promise<string> {
    const { token, certificate } = proof;
    if (certificate === undefined) throw refused('there is no client certificate');
    if (certificate.refusal !== undefined) throw refused(certificate.refusal);
    if (token === undefined) throw refused('there is no token');
    const found = await deps.findClientToken(token);
    if (found === undefined) throw refused('the token is no valid client-credentials token');
    if (found.thumbprint !== certificate.thumbprint) {
      throw refused('the token is not bound to this certificate');
    }
    if (deps.resource === undefined || !found.audiences.includes(deps.resource)) {
      throw refused(`the token is for ${found.audiences.join(', ')}`);
    }
    if (!found.scopes.includes(scope)) {
      throw new Problem('insufficient_scope', { detail: `the token has no scope ${scope}` });
    }
    return found.clientId;
  };
}

export type AuthorizeClient = ReturnType<typeof createClientAccess>;

function refused(detail: string): Problem {
  return new Problem('invalid_token', { detail });
}
