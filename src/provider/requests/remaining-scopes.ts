import type { Clients } from '../ports.ts';
import { openidScopes } from './resources.ts';

interface IssuedScopes {
  clientId: string;
  scopes: readonly string[];
  audiences: readonly string[];
}

/**
 * What is left of a token's scopes: what an operator or a directory takes from a client ends before its tokens do. OpenID
 * scopes stay, as they belong to no resource server; undefined when the token was good for more and nothing of it is left.
 */
export async function remainingScopes(
  { clientId, scopes, audiences }: IssuedScopes,
  clients: Pick<Clients, 'permissionsOf'>,
): Promise<string[] | undefined> {
  const permissions = new Map(Object.entries(await clients.permissionsOf(clientId)));
  const held = audiences.filter((audience) => permissions.has(audience));
  if (held.length === 0) return undefined;
  const permitted = held.flatMap((audience) => permissions.get(audience) ?? []);
  const isOfResource = (scope: string) => !openidScopes.includes(scope);
  const left = scopes.filter((scope) => !isOfResource(scope) || permitted.includes(scope));
  if (scopes.some(isOfResource) && !left.some(isOfResource)) return undefined;
  return left;
}
