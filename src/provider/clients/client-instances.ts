import type Provider from 'oidc-provider';
import type { Client } from 'oidc-provider';
import type { Clients } from '../ports.ts';

/**
 * Keeps the engine's client objects for as long as their metadata is remembered. oidc-provider keeps a hundred, found by
 * a hash over the metadata that it makes for every request; past that each request validates all metadata again
 * (70 to 135 µs).
 */
export function rememberClients(provider: Provider, clients: Pick<Clients, 'metadataOf'>): void {
  const instances = new WeakMap<object, Client>();
  const find = provider.Client.find.bind(provider.Client);

  Object.assign(provider.Client, {
    async find(id: unknown): Promise<Client | undefined> {
      // A JWT that is not verified yet names it: `sub` of an assertion, `aud` of a hint.
      if (typeof id !== 'string') return undefined;
      const metadata = await clients.metadataOf(id);
      if (metadata === undefined) return undefined;
      const known = instances.get(metadata);
      if (known !== undefined) return known;
      const client = await find(id);
      if (client !== undefined) instances.set(metadata, client);
      return client;
    },
  });
}
