import { LRUCache } from 'lru-cache';
import { memoryMs } from '../database/changes.ts';
import type { ChangeSource } from '../database/changes.ts';
import type { PrismaClient } from '../database/generated/client.ts';
import type { Prisma } from '../database/generated/client.ts';
import { Problem } from '../problem.ts';
import { equalDigests, keyedDigest } from '../security/secrets.ts';
import { clientIdPattern, isSecretMethod } from './client.ts';
import type { Client, ClientMetadata } from './client.ts';

/** What is written of a client; `secret` leaves the stored one alone when it is undefined. */
export interface ClientDraft {
  metadata: ClientMetadata;
  permissions: Readonly<Record<string, readonly string[]>>;
  source: 'file' | 'operator';
  secret?: string | undefined;
}

/** Clients in the database, with a short memory of the ones in use. */
export interface ClientStore {
  find(id: string): Promise<Client | undefined>;
  /** Metadata of an active client. */
  metadataOf(id: string): Promise<ClientMetadata | undefined>;
  /** What the client may request, by resource server. */
  permissionsOf(id: string): Promise<Readonly<Record<string, readonly string[]>>>;
  verifySecret(id: string, secret: string): Promise<boolean>;
  list(): Promise<Client[]>;
  /** Problem('client_exists'). */
  insert(draft: ClientDraft): Promise<Client>;
  /** Inserts or replaces; for the static file and for updates. */
  save(draft: ClientDraft): Promise<Client>;
  /** Replaces the metadata, and the secret where one is given. Problem('client_not_found'). */
  setMetadata(metadata: ClientMetadata, secret?: string): Promise<void>;
  /** Replaces what the client may request at one resource server; no scopes take everything away. */
  setPermission(id: string, resource: string, scopes: readonly string[]): Promise<void>;
  setStatus(id: string, status: Client['status']): Promise<void>;
  setSecret(id: string, secret: string): Promise<void>;
  /** Deletes the client and everything issued to it. Problem('client_not_found'). */
  delete(id: string): Promise<void>;
}

interface Dependencies {
  prisma: Pick<PrismaClient, 'client' | 'clientPermission' | 'artifact' | '$transaction'>;
  digestKey: Buffer;
  /** Changes that other processes made. */
  changes: ChangeSource;
}

type Row = Prisma.ClientGetPayload<{ include: { permissions: true } }>;
type Remembered = { client: Client; secretDigest: Uint8Array | null } | 'absent';

const include = { permissions: true } as const;

/** The store of clients. Secrets are kept as keyed digests: they are random, so a slow hash adds nothing. */
export function createClientStore(dependencies: Dependencies): ClientStore {
  const cache = createCache(dependencies);
  return { ...createReader(cache, dependencies), ...createWriter(cache, dependencies) };
}

type Cache = LRUCache<string, Remembered>;
type Reads = 'find' | 'metadataOf' | 'permissionsOf' | 'verifySecret' | 'list';

/** About 4 kB a client: 20,000 active ones are remembered in 80 MB at most. */
const maxRemembered = 20_000;

function createCache({ prisma, changes }: Dependencies): Cache {
  const cache = new LRUCache<string, Remembered>({
    max: maxRemembered,
    ttl: memoryMs(changes),
    ignoreFetchAbort: true, // a look-up that a change overtakes still answers who asked; it is not remembered
    // One look-up for all requests that ask at once; "absent" is remembered too, so that guessing costs little.
    async fetchMethod(id, _stale, { options }) {
      options.ttl = memoryMs(changes);
      return read(prisma, id);
    },
  });
  changes.subscribe('clients', (id) => {
    if (id === undefined) cache.clear();
    else cache.delete(id);
  });
  return cache;
}

async function read(prisma: Dependencies['prisma'], id: string): Promise<Remembered> {
  const row = await prisma.client.findUnique({ where: { id }, include });
  return row === null ? 'absent' : { client: asClient(row), secretDigest: row.secretDigest };
}

function createReader(cache: Cache, { prisma, digestKey }: Dependencies): Pick<ClientStore, Reads> {
  async function remembered(id: string) {
    // Postgres refuses U+0000 in a text; and what can't be a client must not fill the cache.
    if (!clientIdPattern.test(id)) return undefined;
    // A look-up that a change overtakes is dropped by the cache: then the database is asked again.
    const entry = cache.get(id) ?? (await cache.fetch(id)) ?? (await read(prisma, id));
    return entry === 'absent' ? undefined : entry;
  }

  async function active(id: string): Promise<Client | undefined> {
    const client = (await remembered(id))?.client;
    return client?.status === 'active' ? client : undefined;
  }

  return {
    async find(id) {
      return (await remembered(id))?.client;
    },

    async metadataOf(id) {
      return (await active(id))?.metadata;
    },

    async permissionsOf(id) {
      return (await active(id))?.permissions ?? {};
    },

    async verifySecret(id, secret) {
      const entry = await remembered(id);
      const expected = entry?.secretDigest ?? new Uint8Array(32);
      const isEqual = equalDigests(expected, digestOf(digestKey, id, secret));
      return isEqual && entry?.secretDigest !== null && entry?.client.status === 'active';
    },

    async list() {
      const rows = await prisma.client.findMany({ include, orderBy: { id: 'asc' } });
      return rows.map(asClient);
    },
  };
}

function createWriter(cache: Cache, { prisma, digestKey }: Dependencies): Omit<ClientStore, Reads> {
  async function update(id: string, data: Prisma.ClientUpdateManyMutationInput): Promise<void> {
    const { count } = await prisma.client.updateMany({ where: { id }, data });
    cache.delete(id);
    if (count === 0) throw new Problem('client_not_found', { detail: id });
  }

  async function write(id: string, work: () => Promise<Row>): Promise<Client> {
    try {
      return asClient(await work());
    } catch (error) {
      throw asProblem(error, id);
    } finally {
      cache.delete(id);
    }
  }

  return {
    insert(draft) {
      const data = { ...newRow(digestKey, draft), permissions: { create: permissionRows(draft) } };
      return write(data.id, () => prisma.client.create({ data, include }));
    },

    save(draft) {
      const permissions = { create: permissionRows(draft) };
      const { id, ...columns } = newRow(digestKey, draft);
      const create = { id, ...columns, permissions };
      const change = { ...columns, permissions: { deleteMany: {}, ...permissions } };
      const put = () => prisma.client.upsert({ where: { id }, create, update: change, include });
      // Prisma looks first and inserts then: of processes that do so at once, all but one find it taken.
      return write(id, () => put().catch((error: unknown) => againIfTaken(error, put)));
    },

    setMetadata: (metadata, secret) =>
      update(metadata.client_id, columnsOf(digestKey, metadata, secret)),

    async setPermission(id, resource, scopes) {
      try {
        await writePermission(prisma, { clientId: id, resourceServerIdentifier: resource }, scopes);
      } catch (error) {
        throw asProblem(error, id);
      } finally {
        cache.delete(id);
      }
    },

    setStatus: (id, status) => update(id, { status }),

    async setSecret(id, secret) {
      const row = await prisma.client.findUnique({ where: { id }, include });
      const method = row === null ? undefined : asClient(row).metadata.token_endpoint_auth_method;
      if (method !== undefined && !isSecretMethod(method)) {
        throw new Problem('client_invalid', { detail: `${id} does not authenticate by a secret` });
      }
      await update(id, { secretDigest: digestOf(digestKey, id, secret) });
    },

    async delete(id) {
      const [, { count }] = await prisma.$transaction([
        prisma.artifact.deleteMany({ where: { clientId: id } }),
        prisma.client.deleteMany({ where: { id } }),
      ]);
      cache.delete(id);
      if (count === 0) throw new Problem('client_not_found', { detail: id });
    },
  };
}

function digestOf(digestKey: Buffer, id: string, secret: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(keyedDigest(digestKey, `client-secret:${id}`, secret));
}

function newRow(digestKey: Buffer, { metadata, source, secret }: ClientDraft) {
  return { id: metadata.client_id, source, ...columnsOf(digestKey, metadata, secret) };
}

function columnsOf(digestKey: Buffer, metadata: ClientMetadata, secret: string | undefined) {
  const { client_id: id, ...rest } = metadata;
  return {
    name: metadata.client_name ?? id,
    metadata: rest as Prisma.InputJsonObject,
    ...secretColumn(digestKey, metadata, secret),
  };
}

function secretColumn(digestKey: Buffer, metadata: ClientMetadata, secret: string | undefined) {
  // A method without secrets leaves none behind that a later change would bring back.
  if (!isSecretMethod(metadata.token_endpoint_auth_method)) return { secretDigest: null };
  if (secret === undefined) return {};
  return { secretDigest: digestOf(digestKey, metadata.client_id, secret) };
}

async function writePermission(
  prisma: Pick<PrismaClient, 'clientPermission'>,
  key: { clientId: string; resourceServerIdentifier: string },
  scopes: readonly string[],
): Promise<void> {
  if (scopes.length === 0) {
    await prisma.clientPermission.deleteMany({ where: key });
    return;
  }
  await prisma.clientPermission.upsert({
    where: { clientId_resourceServerIdentifier: key },
    create: { ...key, scopes: [...scopes] },
    update: { scopes: [...scopes] },
  });
}

function permissionRows({ permissions }: ClientDraft) {
  return Object.entries(permissions).map(([resourceServerIdentifier, scopes]) => ({
    resourceServerIdentifier,
    scopes: [...scopes],
  }));
}

function asClient(row: Row): Client {
  return {
    id: row.id,
    name: row.name,
    metadata: {
      ...(row.metadata as Omit<ClientMetadata, 'client_id'>),
      client_id: row.id,
    } as ClientMetadata,
    status: row.status === 'active' ? 'active' : 'suspended',
    source: row.source === 'file' ? 'file' : 'operator',
    permissions: Object.fromEntries(
      row.permissions.map((permission) => [permission.resourceServerIdentifier, permission.scopes]),
    ),
    hasSecret: row.secretDigest !== null,
  };
}

function againIfTaken<T>(error: unknown, work: () => Promise<T>): Promise<T> {
  if (codeOf(error) === 'P2002') return work();
  throw error;
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

/** Prisma's codes: P2002 a unique value exists, P2003 a foreign key points nowhere. */
function asProblem(error: unknown, id: string): unknown {
  const code = codeOf(error);
  if (code === 'P2002') return new Problem('client_exists', { detail: id, cause: error });
  if (code !== 'P2003') return error;
  const detail = `${id} has a permission on a resource server that does not exist`;
  return new Problem('resource_server_not_found', { detail, cause: error });
}
