import type { Clients, ResourceServers, Share } from './ports.ts';

interface Dependencies {
  resourceServers: ResourceServers;
  clients: Pick<Clients, 'metadataOf'>;
}

/** Who may introspect and revoke what (RFC 7662, RFC 7009). */
export function introspectionShare({ resourceServers, clients }: Dependencies): Share {
  return {
    features: {
      introspection: {
        enabled: true,
        /** A resource server, and only about tokens meant for it; anybody else learns `active: false`. */
        async allowedPolicy(_ctx, client, token) {
          if (client.clientAuthMethod === 'none' || token.kind === 'RefreshToken') return false;
          const asking = await resourceServers.findByIntrospectionClient(client.clientId);
          if (asking === undefined || token.clientId === undefined) return false;
          // With its client a token ends, whether the client was suspended or deleted.
          if ((await clients.metadataOf(token.clientId)) === undefined) return false;
          return [token.aud ?? []].flat().includes(asking.identifier);
        },
      },
      revocation: {
        enabled: true,
        allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId,
      },
    },
  };
}
