import type Provider from 'oidc-provider';
import { currentToken } from './access-tokens.ts';
import type { Clients } from './ports.ts';

/** A client's own access token, as a resource server of ours needs it. */
export interface OwnToken {
  clientId: string;
  scopes: readonly string[];
  audiences: readonly string[];
  /** `x5t#S256` of the certificate that it is bound to (RFC 8705 §3.1). */
  thumbprint: string | undefined;
}

/** What finds client-credentials tokens: JWT or opaque, valid, not revoked, of an active client, with a scope; undefined for all others. */
export function createClientTokens(
  provider: () => Provider,
  clients: Pick<Clients, 'metadataOf' | 'permissionsOf'>,
): (token: string) => Promise<OwnToken | undefined> {
  return async function findClientToken(token) {
    const found = await provider().ClientCredentials.find(token);
    const current = found && (await currentToken(found, clients));
    if (current === undefined || current.scopes.length === 0) return undefined;
    const { clientId, scopes, audiences, certificateThumbprint: thumbprint } = current;
    return { clientId, scopes, audiences, thumbprint };
  };
}
