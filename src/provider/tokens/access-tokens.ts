import type Provider from 'oidc-provider';
import type { Clients } from '../ports.ts';
import { remainingScopes } from '../requests/remaining-scopes.ts';

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
  consentId: string | undefined;
  /** How, and when in Unix seconds, the customer authenticated (RFC 9068 §2.2.1). */
  acr: string | undefined;
  authTime: number | undefined;
}

type TokenClients = Pick<Clients, 'metadataOf' | 'permissionsOf'>;

interface Dependencies {
  clients: TokenClients;
  isCustomerActive: (id: string) => Promise<boolean>;
}

/** What oidc-provider's tokens of both kinds have. */
interface FoundToken {
  isValid: boolean;
  clientId?: string | undefined;
  scope?: string | undefined;
  aud?: string | string[] | undefined;
  exp?: number | undefined;
  jkt?: string | undefined;
  'x5t#S256'?: string | undefined;
  extra?: Readonly<Record<string, unknown>> | undefined;
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
    if (found === undefined) return undefined;
    const customerId = 'accountId' in found ? found.accountId : undefined;
    if (customerId !== undefined && !(await isCustomerActive(customerId))) return undefined;
    const current = await currentToken(found, clients);
    return current && { ...current, customerId };
  };
}

/** What a token that was found is good for; undefined when it is not valid, or its client may have none of it any more. */
export async function currentToken(
  found: FoundToken,
  clients: TokenClients,
): Promise<Omit<CurrentAccessToken, 'customerId'> | undefined> {
  const { clientId } = found;
  if (clientId === undefined || !found.isValid) return undefined;
  if ((await clients.metadataOf(clientId)) === undefined) return undefined;
  const facts = factsOf(found);
  const scopes = await remainingScopes({ clientId, ...facts }, clients);
  return scopes && { clientId, ...facts, scopes };
}

function factsOf({ scope, aud, exp, jkt, 'x5t#S256': thumbprint, extra = {} }: FoundToken) {
  const { consent_id: consentId, acr, auth_time: authTime } = extra as OwnClaims;
  return {
    ...{ consentId, acr, authTime },
    scopes: scope?.split(' ') ?? [],
    audiences: [aud ?? []].flat(),
    expiresAt: exp ?? 0,
    certificateThumbprint: thumbprint,
    keyThumbprint: jkt,
  };
}

/** What `tokens.ts` adds to a customer's token. */
interface OwnClaims {
  consent_id?: string;
  acr?: string;
  auth_time?: number;
}
