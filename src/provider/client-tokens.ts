import type Provider from 'oidc-provider';
import type { Clients } from './ports.ts';
import { remainingScopes } from './remaining-scopes.ts';

/** A client's own access token, as a resource server of ours needs it. */
export interface OwnToken {
  clientId: string;
  scopes: readonly string[];
  audiences: readonly string[];
  /** `x5t#S256` of the certificate that it is bound to (RFC 8705 §3.1). */
  thumbprint: string | undefined;
}

/** What finds client-credentials tokens: JWT or opaque, valid, not revoked, of an active client; undefined for all others. */
export function createClientTokens(
  provider: () => Provider,
  clients: Pick<Clients, 'metadataOf' | 'permissionsOf'>,
): (token: string) => Promise<OwnToken | undefined> {
  return async function findClientToken(token) {
    const found = await provider().ClientCredentials.find(token);
    const clientId = found?.clientId;
    if (found === undefined || clientId === undefined || !found.isValid) return undefined;
    if ((await clients.metadataOf(clientId)) === undefined) return undefined;
    const audiences = [found.aud ?? []].flat();
    const issued = { clientId, scopes: (found.scope ?? '').split(' '), audiences };
    const scopes = await remainingScopes(issued, clients);
    return scopes && { clientId, scopes, audiences, thumbprint: found['x5t#S256'] };
  };
}
