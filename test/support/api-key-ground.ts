import { randomBytes } from 'node:crypto';
import { createApiKeyStore } from '../../src/api-keys/api-key-store.ts';
import type { ApiKeyStore, MadeKey } from '../../src/api-keys/api-key-store.ts';
import { systemClock } from '../../src/clock.ts';
import { storeGround } from './store.ts';
import type { StoreGround } from './store.ts';

/** Stores of keys in two processes, on a database of a test's own. */
export interface KeyGround extends StoreGround {
  stores: readonly [ApiKeyStore, ApiKeyStore];
  /** The id of a client without anything. */
  newClient(): Promise<string>;
  /** A key of the client that lives an hour. */
  make(clientId: string): Promise<MadeKey>;
}

export async function keyGround(): Promise<KeyGround> {
  const ground = await storeGround();
  const { prisma, other, sql, otherSql, digestKey } = ground;
  const own = { digestKey, mode: 'live', clock: systemClock } as const;
  const stores = [
    createApiKeyStore({ ...own, prisma, sql }),
    createApiKeyStore({ ...own, prisma: other, sql: otherSql }),
  ] as const;
  return {
    ...ground,
    stores,

    async newClient() {
      const id = `client-${randomBytes(6).toString('hex')}`;
      await prisma.client.create({ data: { id, name: id, metadata: {} } });
      return id;
    },

    async make(clientId) {
      const made = await stores[0].insert(draft(clientId));
      if (made.secret === undefined) throw new Error('it was made before');
      return made;
    },
  };
}

/** A moment from now. */
export const inSeconds = (seconds: number) =>
  new Date(systemClock.now().getTime() + seconds * 1000);

/** A key to be made. */
export function draft(
  clientId: string,
  more: { maxActive?: number; key?: string; name?: string } = {},
) {
  const terms = {
    name: more.name ?? 'key',
    permissions: { api: ['read'] },
    addresses: ['192.0.2.0/24'],
    limit: { requests: 5, seconds: 60 },
    expiresAt: inSeconds(3600),
  };
  return {
    owner: { type: 'client', id: clientId } as const,
    terms,
    by: { name: `client ${clientId}`, clientId },
    maxActive: more.maxActive ?? 100,
    idempotency: more.key === undefined ? undefined : { key: more.key, request: terms.name },
  };
}
