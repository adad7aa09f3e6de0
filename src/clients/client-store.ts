import { createChangeMemory } from '../database/change-memory.ts';
import type { ChangeMemory } from '../database/change-memory.ts';
import type { ChangeSource } from '../database/changes.ts';
import type { PrismaClient } from '../database/generated/client.ts';
import type { Prisma } from '../database/generated/client.ts';
import { Problem } from '../problem.ts';
import { equalDigests } from '../security/secrets.ts';
import {
  asClient,
  columnsOf,
  digestOf,
  errorCodeOf,
  newRow,
  permissionRows,
  withPermissions as include,
} from './client-rows-store.ts';
import type { ClientDraft, ClientRow as Row } from './client-rows-store.ts';
import { clientIdPattern, isSecretMethod } from './client.ts';
import type { Client, ClientMetadata } from './client.ts';

/** Clients in the database, with a short memory of the ones in use. */
export interface ClientStore {
  find(id: string): Promise<Client | undefined>;
  /** Metadata of an active client. */
  metadataOf(id: string): Promise<ClientMetadata | undefined>;
  /** What the client may request, by resource server. */
  permissionsOf(id: string): Promise<Readonly<Record<string, readonly string[]>>>;
  verifySecret(id: string, secret: string): Promise<boolean>;
  /** Reads it anew the next time: whoever writes to the tables by another way says so. */
  forget(id: string): void;
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
  /** Deletes the client and everything issued to it, and ends its consents. Problem('client_not_found'). */
  delete(id: string): Promise<void>;
}

interface Dependencies {
  prisma: Pick<
    PrismaClient,
    'client' | 'clientPermission' | 'artifact' | '$transaction' | '$executeRaw'
  >;
  /** Ends the consents of a client that is deleted, within the transaction that deletes it. */
  endConsents: EndConsents;
  digestKey: Buffer;
  /** What digests were made with before: a secret that fits one of them gets a new digest. */
  olderDigestKeys?: readonly Buffer[];
  /** Changes that other processes made. */
  changes: ChangeSource;
}

/** One statement of a transaction; the consents' own fits. */
type EndConsents = (
  prisma: Pick<PrismaClient, '$executeRaw'>,
  clientId: string,
) => Prisma.PrismaPromise<number>;

type Remembered = { client: Client; secretDigest: Uint8Array | null } | 'absent';

/** The store of clients. Secrets are kept as keyed digests: they are random, so a slow hash adds nothing. */
export function createClientStore(dependencies: Dependencies): ClientStore {
  const cache = createCache(dependencies);
  return { ...createReader(cache, dependencies), ...createWriter(cache, dependencies) };
}

type Cache = ChangeMemory<Remembered>;
type Reads = 'find' | 'metadataOf' | 'permissionsOf' | 'verifySecret' | 'forget' | 'list';

/** About 4 kB a client: 20,000 active ones are remembered in 80 MB at most. */
const maxRemembered = 20_000;

function createCache({ prisma, changes }: Dependencies): Cache {
  // "Absent" is remembered too, so that guessing costs little.
  return createChangeMemory<Remembered>({
    ...{ changes, topic: 'clients', max: maxRemembered },
    read: (id) => read(prisma, id),
  });
}

async function read(prisma: Dependencies['prisma'], id: string): Promise<Remembered> {
  const row = await prisma.client.findUnique({ where: { id }, include });
  return row === null ? 'absent' : { client: asClient(row), secretDigest: row.secretDigest };
}

function activeIn(entry: Remembered): Client | undefined {
  return entry !== 'absent' && entry.client.status === 'active' ? entry.client : undefined;
}

function createReader(
  cache: Cache,
  { prisma, digestKey, olderDigestKeys = [] }: Dependencies,
): Pick<ClientStore, Reads> {
  /** A secret that fits an older digest key is at hand just now. */
  async function renewDigest(id: string, secret: string, old: Uint8Array): Promise<void> {
    const where = { id, secretDigest: new Uint8Array(old) };
    await prisma.client.updateMany({
      where,
      data: { secretDigest: digestOf(digestKey, id, secret) },
    });
    cache.forget(id);
  }

  async function remembered(id: string) {
    // Postgres refuses U+0000 in a text; and what can't be a client must not fill the cache.
    if (!clientIdPattern.test(id)) return undefined;
    const entry = await cache.recall(id);
    return entry === 'absent' ? undefined : entry;
  }

  /** What `read` finds in the active client; in one step for a client that is in use. */
  function ofActive<T>(id: string, read: (client: Client | undefined) => T): Promise<T> {
    const known = cache.known(id);
    if (known !== undefined) return Promise.resolve(read(activeIn(known)));
    return remembered(id).then((entry) => read(entry && activeIn(entry)));
  }

  return {
    async find(id) {
      return (await remembered(id))?.client;
    },

    metadataOf: (id) => ofActive(id, (client) => client?.metadata),

    permissionsOf: (id) => ofActive(id, (client) => client?.permissions ?? {}),

    async verifySecret(id, secret) {
      const entry = await remembered(id);
      const expected = entry?.secretDigest ?? new Uint8Array(32);
      const fitting = [digestKey, ...olderDigestKeys].find((key) =>
        equalDigests(expected, digestOf(key, id, secret)),
      );
      if (fitting === undefined || entry?.client.status !== 'active') return false;
      if (fitting !== digestKey) await renewDigest(id, secret, expected);
      return true;
    },

    forget(id) {
      cache.forget(id);
    },

    async list() {
      const rows = await prisma.client.findMany({ include, orderBy: { id: 'asc' } });
      return rows.map(asClient);
    },
  };
}

function createWriter(cache: Cache, dependencies: Dependencies): Omit<ClientStore, Reads> {
  const { prisma, digestKey } = dependencies;

  async function update(id: string, data: Prisma.ClientUpdateManyMutationInput): Promise<void> {
    const { count } = await prisma.client.updateMany({ where: { id }, data });
    cache.forget(id);
    if (count === 0) throw new Problem('client_not_found', { detail: id });
  }

  async function write(id: string, work: () => Promise<Row>): Promise<Client> {
    try {
      return asClient(await work());
    } catch (error) {
      throw asProblem(error, id);
    } finally {
      cache.forget(id);
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
        cache.forget(id);
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
      const count = await deleteWithAll(id, dependencies);
      cache.forget(id);
      if (count === 0) throw new Problem('client_not_found', { detail: id });
    },
  };
}

/** How many clients there were: one or none. */
async function deleteWithAll(id: string, { prisma, endConsents }: Dependencies): Promise<number> {
  const [, , { count }] = await prisma.$transaction([
    endConsents(prisma, id), // before the artifacts: a move of a consent locks in this order as well
    prisma.artifact.deleteMany({ where: { clientId: id } }),
    prisma.client.deleteMany({ where: { id } }),
  ]);
  return count;
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

function againIfTaken<T>(error: unknown, work: () => Promise<T>): Promise<T> {
  if (errorCodeOf(error) === 'P2002') return work();
  throw error;
}

/** Prisma's codes: P2002 a unique value exists, P2003 a foreign key points nowhere. */
function asProblem(error: unknown, id: string): unknown {
  const code = errorCodeOf(error);
  if (code === 'P2002') return new Problem('client_exists', { detail: id, cause: error });
  if (code !== 'P2003') return error;
  const detail = `${id} has a permission on a resource server that does not exist`;
  return new Problem('resource_server_not_found', { detail, cause: error });
}
