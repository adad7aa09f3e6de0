import type Provider from 'oidc-provider';
import { Problem } from '../../problem.ts';
import { currentToken } from './access-tokens.ts';
import type { Clients, Limits } from '../ports.ts';

/** A client's own access token, as a resource server of ours needs it. */
export interface OwnToken {
  clientId: string;
  scopes: readonly string[];
  audiences: readonly string[];
  /** `x5t#S256` of the certificate that it is bound to (RFC 8705 §3.1). */
  thumbprint: string | undefined;
  /** `jkt` of the key that it is bound to (RFC 9449 §6.1). */
  keyThumbprint: string | undefined;
}

/**
 * What finds client-credentials tokens: JWT or opaque, valid, not revoked, of an active client, with a scope; undefined for all others. Each
 * counts as a request of its client: Problem('too_many_requests').
 */
export function createClientTokens(
  provider: () => Provider,
  clients: Pick<Clients, 'metadataOf' | 'permissionsOf'>,
  limits: Limits,
): (token: string) => Promise<OwnToken | undefined> {
  return async function findClientToken(token) {
    const found = await provider().ClientCredentials.find(token);
    const current = found && (await currentToken(found, clients));
    if (current === undefined || current.scopes.length === 0) return undefined;
    const { clientId, scopes, audiences, certificateThumbprint, keyThumbprint } = current;
    const excess = await limits.excess('client', clientId);
    if (excess !== undefined) throw new Problem(excess, { detail: `of client ${clientId}` });
    return { clientId, scopes, audiences, thumbprint: certificateThumbprint, keyThumbprint };
  };
}
