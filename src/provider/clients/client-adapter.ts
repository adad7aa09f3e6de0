import type { Adapter, AdapterPayload } from 'oidc-provider';
import type { Clients } from '../ports.ts';

/**
 * oidc-provider demands a secret of clients that authenticate by one. Ours are digests that only
 * `compareClientSecret` sees, and HS* algorithms, which would use this text as a key, are off.
 */
const secretStandIn = 'kept as a digest';

/** Clients as oidc-provider reads them; it never writes any, as registration is off. */
export function clientAdapter(clients: Pick<Clients, 'metadataOf'>): Adapter {
  const never = () => Promise.reject(new Error('clients are managed outside oidc-provider'));
  return {
    async find(id) {
      const metadata = await clients.metadataOf(id);
      if (metadata?.token_endpoint_auth_method?.startsWith('client_secret_') !== true) {
        return metadata as AdapterPayload | undefined;
      }
      return { ...metadata, client_secret: secretStandIn } as AdapterPayload;
    },
    upsert: never,
    destroy: never,
    consume: never,
    findByUid: never,
    findByUserCode: never,
    revokeByGrantId: never,
  };
}
