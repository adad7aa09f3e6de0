import type { KeyOwner, Permissions } from './api-key.ts';
import type { Clients, ResourceServers } from './api-key-ports.ts';

/** What owners of keys hold at the moment: a key is never worth more. */
export interface Holdings {
  /** Nothing for a client that is suspended or gone. */
  of(owner: KeyOwner): Promise<Permissions>;
  /** The scopes at one resource server. */
  at(owner: KeyOwner, resourceServer: string): Promise<readonly string[]>;
}

const none: readonly string[] = [];

/** A client holds what it may request; the operator holds every scope that there is. */
export function createHoldings(clients: Clients, resourceServers: ResourceServers): Holdings {
  async function scopesAt(identifier: string): Promise<readonly string[]> {
    const server = await resourceServers.find(identifier);
    return server === undefined ? none : Object.keys(server.scopes);
  }

  return {
    async of(owner) {
      const all = Object.fromEntries(
        (await resourceServers.list()).map((one) => [one.identifier, Object.keys(one.scopes)]),
      );
      if (owner.type === 'operator') return all;
      if ((await clients.metadataOf(owner.id)) === undefined) return {};
      const permissions = await clients.permissionsOf(owner.id);
      return Object.fromEntries(
        Object.entries(permissions).map(([resource, scopes]) => [
          resource,
          scopes.filter((scope) => all[resource]?.includes(scope)),
        ]),
      );
    },

    async at(owner, resourceServer) {
      const offered = await scopesAt(resourceServer);
      if (owner.type === 'operator' || offered.length === 0) return offered;
      if ((await clients.metadataOf(owner.id)) === undefined) return none;
      const permissions = await clients.permissionsOf(owner.id);
      const held = Object.hasOwn(permissions, resourceServer) ? permissions[resourceServer] : none;
      return held?.filter((scope) => offered.includes(scope)) ?? none;
    },
  };
}
