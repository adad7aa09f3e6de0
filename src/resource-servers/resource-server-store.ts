import { LRUCache } from 'lru-cache';
import type { Prisma, PrismaClient } from '../database/generated/client.ts';
import type { ResourceServer } from './resource-server.ts';

/** Resource servers in the database, with a short memory of them all: there are few. */
export interface ResourceServerStore {
  find(identifier: string): Promise<ResourceServer | undefined>;
  findByIntrospectionClient(clientId: string): Promise<ResourceServer | undefined>;
  list(): Promise<ResourceServer[]>;
  /** Inserts or replaces. */
  save(resourceServer: ResourceServer): Promise<void>;
  /** Whether there was one. */
  delete(identifier: string): Promise<boolean>;
}

interface Dependencies {
  prisma: Pick<PrismaClient, 'resourceServer'>;
  /** How long a read may be remembered: the longest that a change made by another process goes unseen. */
  cacheTtlMs: number;
}

type Row = Prisma.ResourceServerGetPayload<{ include: { scopes: true } }>;

/** The store of resource servers. */
export function createResourceServerStore({
  prisma,
  cacheTtlMs,
}: Dependencies): ResourceServerStore {
  const cache = new LRUCache<'all', ResourceServer[]>({
    max: 1,
    ttl: cacheTtlMs,
    async fetchMethod() {
      const rows = await prisma.resourceServer.findMany({
        include: { scopes: { orderBy: { scope: 'asc' } } },
        orderBy: { identifier: 'asc' },
      });
      return rows.map(asResourceServer);
    },
  });
  const all = async () => (await cache.fetch('all')) ?? [];

  return {
    list: all,

    async find(identifier) {
      return (await all()).find((candidate) => candidate.identifier === identifier);
    },

    async findByIntrospectionClient(clientId) {
      return (await all()).find((candidate) => candidate.introspectionClientId === clientId);
    },

    async save({ identifier, scopes, introspectionClientId, ...columns }) {
      const rows = Object.entries(scopes).map(([scope, description]) => ({
        scope,
        description: { ...description },
      }));
      const data = { ...columns, introspectionClientId: introspectionClientId ?? null };
      await prisma.resourceServer.upsert({
        where: { identifier },
        create: { identifier, ...data, scopes: { create: rows } },
        update: { ...data, scopes: { deleteMany: {}, create: rows } },
      });
      cache.clear();
    },

    async delete(identifier) {
      const { count } = await prisma.resourceServer.deleteMany({ where: { identifier } });
      cache.clear();
      return count === 1;
    },
  };
}

function asResourceServer(row: Row): ResourceServer {
  const { identifier, name, accessTokenTtlSeconds, introspectionClientId } = row;
  return {
    identifier,
    name,
    accessTokenTtlSeconds,
    accessTokenFormat: row.accessTokenFormat === 'opaque' ? 'opaque' : 'jwt',
    signingAlgorithm: row.signingAlgorithm as ResourceServer['signingAlgorithm'],
    introspectionClientId: introspectionClientId ?? undefined,
    source: row.source === 'file' ? 'file' : 'operator',
    scopes: Object.fromEntries(
      row.scopes.map(({ scope, description }) => [scope, description as Record<string, string>]),
    ),
  };
}
