import type Provider from 'oidc-provider';
import type { Clients } from './ports.ts';
import { remainingScopes } from './remaining-scopes.ts';

/** An access token that is good at this moment. */
export interface CurrentAccessToken {
  clientId: string;
  /** Undefined where no customer took part. */
  customerId: string | undefined;
  scopes: readonly string[];
  audiences: readonly string[];
  /** Unix time in seconds. */
  expiresAt: number;
  /** `x5t#S256` of the certificate that it is bound to (RFC 8705 §3.1). */
  certificateThumbprint: string | undefined;
  /** `jkt` of the key that it is bound to (RFC 9449 §6.1). */
  keyThumbprint: string | undefined;
}

interface Dependencies {
  clients: Pick<Clients, 'metadataOf' | 'permissionsOf'>;
  isCustomerActive: (id: string) => Promise<boolean>;
}

/** What oidc-provider's tokens of both kinds have. */
interface TokenFacts {
  scope?: string | undefined;
  aud?: string | string[] | undefined;
  exp?: number | undefined;
  jkt?: string | undefined;
  'x5t#S256'?: string | undefined;
}

/**
 * What finds access tokens of both kinds, JWT or opaque: valid, not revoked, their grant standing, client and customer
 * active; undefined for all others.
 */
export function createAccessTokens(
  provider: () => Provider,
  { clients, isCustomerActive }: Dependencies,
): (token: string) => Promise<CurrentAccessToken | undefined> {
  async function find(token: string) {
    const { AccessToken, ClientCredentials } = provider();
    return (await AccessToken.find(token)) ?? (await ClientCredentials.find(token));
  }

  return async function findAccessToken(token) {
    const found = await find(token);
    const clientId = found?.clientId;
    if (found === undefined || clientId === undefined || !found.isValid) return undefined;
    if ((await clients.metadataOf(clientId)) === undefined) return undefined;
    const customerId = 'accountId' in found ? found.accountId : undefined;
    if (customerId !== undefined && !(await isCustomerActive(customerId))) return undefined;
    const facts = factsOf(found);
    const scopes = await remainingScopes({ clientId, ...facts }, clients);
    return scopes && { clientId, customerId, ...facts, scopes };
  };
}

function factsOf({ scope, aud, exp, jkt, 'x5t#S256': thumbprint }: TokenFacts) {
  return {
    scopes: scope?.split(' ') ?? [],
    audiences: [aud ?? []].flat(),
    expiresAt: exp ?? 0,
    certificateThumbprint: thumbprint,
    keyThumbprint: jkt,
  };
}
