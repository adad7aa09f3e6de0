import type { ResourceServer } from '../resource-servers/resource-server.ts';
import type { Storage } from './storage.ts';

/** A resource server as the slices know it, which authenticates as the client `clientId`. */
export function askingServer({ identifier, scopes }: ResourceServer, clientId: string) {
  return { identifier, scopes: Object.keys(scopes), clientId };
}

/** A resource server by the credentials with which it introspects; undefined for anybody else. */
export function askingServers({ clients, resourceServers }: Storage) {
  return async function authenticate(clientId: string, secret: string) {
    if (!(await clients.verifySecret(clientId, secret))) return undefined;
    if ((await clients.metadataOf(clientId)) === undefined) return undefined;
    const server = await resourceServers.findByIntrospectionClient(clientId);
    return server && askingServer(server, clientId);
  };
}
