import type { Clients, Customers, ResourceServers, Share } from '../ports.ts';
import { remainingScopes } from '../requests/remaining-scopes.ts';

interface Dependencies {
  resourceServers: ResourceServers;
  clients: Pick<Clients, 'metadataOf' | 'permissionsOf'>;
  customers: Customers;
}

/** Who may introspect and revoke what (RFC 7662, RFC 7009). */
export function introspectionShare(dependencies: Dependencies): Share {
  const { resourceServers } = dependencies;
  return {
    features: {
      introspection: {
        enabled: true,
        /** A resource server, and only about tokens meant for it; anybody else learns `active: false`. */
        async allowedPolicy(_ctx, client, token) {
          if (client.clientAuthMethod === 'none' || token.kind === 'RefreshToken') return false;
          const asking = await resourceServers.findByIntrospectionClient(client.clientId);
          if (asking === undefined) return false;
          if (![token.aud ?? []].flat().includes(asking.identifier)) return false;
          if (!(await areBothActive(token, dependencies))) return false;
          return keepsScope(token, asking.identifier, dependencies);
        },
      },
      revocation: {
        enabled: true,
        allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId,
      },
    },
  };
}

/** The answer is made of the token's `scope` after this: what its client may still have there. */
async function keepsScope(
  token: { clientId?: string | undefined; scope?: string | undefined },
  resource: string,
  { clients }: Dependencies,
): Promise<boolean> {
  const { clientId = '', scope } = token;
  const issued = { clientId, scopes: scope?.split(' ') ?? [], audiences: [resource] };
  const left = await remainingScopes(issued, clients);
  if (left !== undefined && scope !== undefined) token.scope = left.join(' ');
  return left !== undefined;
}

/** A token ends with its client and with its customer, whether they were suspended or deleted. */
async function areBothActive(
  { clientId, accountId }: { clientId?: string | undefined; accountId?: unknown },
  { clients, customers }: Dependencies,
): Promise<boolean> {
  if (clientId === undefined || (await clients.metadataOf(clientId)) === undefined) return false;
  return typeof accountId !== 'string' || (await customers.claimsOf(accountId)) !== undefined;
}
