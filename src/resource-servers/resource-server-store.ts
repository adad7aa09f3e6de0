import { LRUCache } from 'lru-cache';
import type { Prisma, PrismaClient } from '../database/generated/client.ts';
import { Problem } from '../problem.ts';
import type { ResourceServer } from './resource-server.ts';

/** Resource servers in the database, with a short memory of them all: there are few. */
export interface ResourceServerStore {
  find(identifier: string): Promise<ResourceServer | undefined>;
  findByIntrospectionClient(clientId: string): Promise<ResourceServer | undefined>;
  list(): Promise<ResourceServer[]>;
  /** Problem('resource_server_exists'), or 'resource_server_invalid' when another one introspects as the same client. */
  insert(resourceServer: ResourceServer): Promise<void>;
  /** Inserts or replaces. Problem('resource_server_invalid') as above. */
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

  async function write({ identifier, introspectionClientId }: ResourceServer, work: Work) {
    try {
      await work();
    } catch (cause) {
      if (!isTaken(cause)) throw cause;
      cache.clear();
      const exists = (await all()).some((other) => other.identifier === identifier);
      const isTwin = (await all()).some(
        (other) =>
          other.identifier !== identifier && other.introspectionClientId === introspectionClientId,
      );
      if (exists && !(introspectionClientId !== undefined && isTwin)) {
        throw new Problem('resource_server_exists', { detail: identifier, cause });
      }
      const detail = `another resource server introspects as ${introspectionClientId ?? ''}`;
      throw new Problem('resource_server_invalid', { detail, cause });
    } finally {
      cache.clear();
    }
  }

  return {
    list: all,

    async find(identifier) {
      return (await all()).find((candidate) => candidate.identifier === identifier);
    },

    async findByIntrospectionClient(clientId) {
      return (await all()).find((candidate) => candidate.introspectionClientId === clientId);
    },

    async insert(resourceServer) {
      const { columns, scopes } = asRow(resourceServer);
      const data = { ...columns, scopes: { create: scopes } };
      await write(resourceServer, () => prisma.resourceServer.create({ data }));
    },

    async save(resourceServer) {
      const { identifier } = resourceServer;
      const { columns, scopes } = asRow(resourceServer);
      const create = { ...columns, scopes: { create: scopes } };
      const update = { ...columns, scopes: { deleteMany: {}, create: scopes } };
      await write(resourceServer, () =>
        prisma.resourceServer.upsert({ where: { identifier }, create, update }),
      );
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
