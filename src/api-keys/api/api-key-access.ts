import { Problem } from '../../problem.ts';
import type { FindClientToken, PresentedCertificate } from '../api-key-ports.ts';

/** The scope of tokens that manage keys. */
export const managingScope = 'api-keys';

/** What a client proves with a request about its keys. */
export interface ClientProof {
  /** The token of `Authorization: Bearer`. */
  token: string | undefined;
  certificate: PresentedCertificate | undefined;
}

/**
 * Says which client manages its keys: it needs a client-credentials token of its own, for `resource`, with the scope
 * `api-keys`, bound to the certificate of this connection (RFC 8705 §3). Problem('invalid_token'), or
 * Problem('insufficient_scope') for a good token without the scope.
 */
export function createKeyAccess(deps: {
  findClientToken: FindClientToken;
  resource: string | undefined;
}) {
  return async function authorize({ token, certificate }: ClientProof): Promise<string> {
    if (certificate === undefined) throw refused('there is no client certificate');
    if (certificate.refusal !== undefined) throw refused(certificate.refusal);
    if (token === undefined) throw refused('there is no token');
    const found = await deps.findClientToken(token);
    if (found === undefined) throw refused('the token is no valid client-credentials token');
    const { clientId, scopes, audiences, thumbprint } = found;
    if (thumbprint !== certificate.thumbprint) {
      throw refused('the token is not bound to this certificate');
    }
    if (deps.resource === undefined || !audiences.includes(deps.resource)) {
      throw refused(`the token is for ${audiences.join(', ')}`);
    }
    if (scopes.includes(managingScope)) return clientId;
    throw new Problem('insufficient_scope', { detail: `the token has no scope ${managingScope}` });
  };
}

export type AuthorizeClient = ReturnType<typeof createKeyAccess>;

function refused(detail: string): Problem {
  return new Problem('invalid_token', { detail });
}
