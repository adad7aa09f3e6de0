import type { ResourceServers, Share } from './ports.ts';

/** Who may introspect and revoke what (RFC 7662, RFC 7009). */
export function introspectionShare(resourceServers: ResourceServers): Share {
  return {
    features: {
      introspection: {
        enabled: true,
        /** A resource server, and only about tokens meant for it; anybody else learns `active: false`. */
        async allowedPolicy(_ctx, client, token) {
          if (client.clientAuthMethod === 'none' || token.kind === 'RefreshToken') return false;
          const asking = await resourceServers.findByIntrospectionClient(client.clientId);
          if (asking === undefined) return false;
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
