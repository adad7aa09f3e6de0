import type { Clients, Customers, ResourceServers, Share } from './ports.ts';

interface Dependencies {
  resourceServers: ResourceServers;
  clients: Pick<Clients, 'metadataOf'>;
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
          return areBothActive(token, dependencies);
        },
      },
      revocation: {
        enabled: true,
        allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId,
      },
    },
  };
}

/** A token ends with its client and with its customer, whether they were suspended or deleted. */
async function areBothActive(
  { clientId, accountId }: { clientId?: string | undefined; accountId?: unknown },
  { clients, customers }: Dependencies,
): Promise<boolean> {
  if (clientId === undefined || (await clients.metadataOf(clientId)) === undefined) return false;
  return typeof accountId !== 'string' || (await customers.claimsOf(accountId)) !== undefined;
}
