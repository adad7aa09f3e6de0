import { createChangeMemory } from '../database/change-memory.ts';
import type { ChangeSource } from '../database/changes.ts';
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
  /** Changes that other processes made. */
  changes: ChangeSource;
}

type Row = Prisma.ResourceServerGetPayload<{ include: { scopes: true } }>;

/** The store of resource servers. */
export function createResourceServerStore({ prisma, changes }: Dependencies): ResourceServerStore {
  const memory = createChangeMemory<ResourceServer[]>({
    ...{ changes, topic: 'resource-servers', max: 1, keyOf: () => undefined },
    read: () => readAll(prisma),
  });
  const all = () => memory.recall('all');

  async function write(resourceServer: ResourceServer, work: () => Promise<unknown>) {
    try {
      await work();
    } catch (cause) {
      if (!isTaken(cause)) throw cause;
      memory.forget();
      throw asProblem(resourceServer, await all(), cause);
    } finally {
      memory.forget();
    }
  }

  return {
    list: all,

    find(identifier) {
      const isMeant = (candidate: ResourceServer) => candidate.identifier === identifier;
      const known = memory.known('all');
      if (known !== undefined) return Promise.resolve(known.find(isMeant));
      return all().then((found) => found.find(isMeant));
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
      const put = () => prisma.resourceServer.upsert({ where: { identifier }, create, update });
      // Prisma looks first and inserts then: of processes that do so at once, all but one find it taken.
      await write(resourceServer, () => put().catch((error: unknown) => againIfTaken(error, put)));
    },

    async delete(identifier) {
      const { count } = await prisma.resourceServer.deleteMany({ where: { identifier } });
      memory.forget();
      return count === 1;
    },
  };
}

async function readAll(prisma: Dependencies['prisma']): Promise<ResourceServer[]> {
  const rows = await prisma.resourceServer.findMany({
    include: { scopes: { orderBy: { scope: 'asc' } } },
    orderBy: { identifier: 'asc' },
  });
  return rows.map(asResourceServer);
}

function asRow({ identifier, scopes, introspectionClientId, ...rest }: ResourceServer) {
  return {
    columns: { identifier, ...rest, introspectionClientId: introspectionClientId ?? null },
    scopes: Object.entries(scopes).map(([scope, description]) => ({
      scope,
      description: { ...description },
    })),
  };
}

/** Prisma's P2002: a unique value is taken. */
function isTaken(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'P2002';
}

function againIfTaken<T>(error: unknown, work: () => Promise<T>): Promise<T> {
  if (isTaken(error)) return work();
  throw error;
}

/** Says which of the two unique values was taken. */
function asProblem(
  { identifier, introspectionClientId }: ResourceServer,
  others: readonly ResourceServer[],
  cause: unknown,
): Problem {
  const twin = others.find(
    (other) =>
      other.identifier !== identifier &&
      other.introspectionClientId !== undefined &&
      other.introspectionClientId === introspectionClientId,
  );
  if (twin === undefined) {
    return new Problem('resource_server_exists', { detail: identifier, cause });
  }
  const detail = `${twin.identifier} introspects as the client ${introspectionClientId ?? ''}`;
  return new Problem('resource_server_invalid', { detail, cause });
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
