import { errors } from 'oidc-provider';
import type { Client, ResourceServer } from 'oidc-provider';
import type { Clients } from '../ports.ts';
import { grantsPath } from '../routes.ts';

/** "API authorization": what a client-credentials token needs. */
export const grantScopes = {
  query: 'grant_management_query',
  revoke: 'grant_management_revoke',
} as const;

const names: readonly string[] = Object.values(grantScopes);

/** What the grant management endpoint calls itself in `aud`: a resource server that is always there. */
export function grantResourceOf(issuer: string): string {
  return issuer + grantsPath;
}

/** Whether a request is for that endpoint: the draft has clients ask by scope alone. */
export function isAboutGrants(scopes: readonly string[]): boolean {
  return scopes.length > 0 && scopes.every((scope) => names.includes(scope));
}

/** The endpoint as a resource server. InvalidTarget for all but a client of its own (RFC 8707 §2). */
export function grantResource(
  identifier: string,
  { client, isMachine }: { client: Client; isMachine: boolean },
): ResourceServer {
  if (!isMachine || client.clientAuthMethod === 'none') {
    const detail = 'grants are managed with client credentials';
    throw new errors.InvalidTarget('resource indicator is not allowed here', detail);
  }
  // Opaque, as nobody else has to read it.
  return { scope: names.join(' '), audience: identifier, accessTokenFormat: 'opaque' };
}

/** Clients with the permission that each has over its own grants, and no other. */
export function grantClients(
  { metadataOf }: Pick<Clients, 'metadataOf'>,
  issuer: string,
): Pick<Clients, 'metadataOf' | 'permissionsOf'> {
  return {
    metadataOf: (clientId) => metadataOf(clientId),
    permissionsOf: () => Promise.resolve({ [grantResourceOf(issuer)]: names }),
  };
}
