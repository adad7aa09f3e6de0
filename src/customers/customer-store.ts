import { createChangeMemory } from '../database/change-memory.ts';
import { noChanges } from '../database/changes.ts';
import type { ChangeSource } from '../database/changes.ts';
import type { Prisma, PrismaClient } from '../database/generated/client.ts';
import { createRequestMemory } from '../database/request-memory.ts';
import type { Sql, Statement } from '../database/sql.ts';
import { Problem } from '../problem.ts';
import type { Encryption } from '../security/encryption.ts';
import { keyedDigest } from '../security/secrets.ts';
import { normaliseUsername } from './customer.ts';
import type { Customer, CustomerProfile } from './customer.ts';

/** Customers in the database: found by a keyed digest of the user name, their data encrypted. */
export interface CustomerStore {
  find(id: string): Promise<Customer | undefined>;
  /** For tokens in use: as `find`, but remembered while changes are heard, and no longer than a minute. */
  recall(id: string): Promise<CustomerInUse | undefined>;
  findByUsername(username: string): Promise<Customer | undefined>;
  list(): Promise<Customer[]>;
  /** Problem('customer_exists') when the user name is taken. */
  insert(customer: Customer): Promise<void>;
  /** Problem('customer_not_found'). */
  setPassword(id: string, password: { hash: string; changedAt: Date }): Promise<void>;
  /** Replaces a hash by one of the same password at another cost, unless the password was changed meanwhile. */
  replaceHash(id: string, hashes: { old: string; new: string }): Promise<void>;
  /** Replaces everything but the user name. Problem('customer_not_found'). */
  setProfile(id: string, profile: CustomerProfile): Promise<void>;
  /** Problem('customer_not_found'). */
  setStatus(id: string, status: Customer['status']): Promise<void>;
  /** Ends the customer's sessions, grants and tokens. */
  endSessions(id: string): Promise<void>;
}

/** What is remembered of one; hashes of passwords are not. */
export type CustomerInUse = Pick<Customer, 'id' | 'profile' | 'status'>;

interface Dependencies {
  sql: Pick<Sql, 'rows'>;
  prisma: Pick<PrismaClient, 'customer' | '$executeRaw'>;
  encryption: Encryption;
  digestKey: Buffer;
  /** What digests were made with before: a customer who is found by one of them gets a new digest. */
  olderDigestKeys?: readonly Buffer[];
  /** Changes that other processes made. */
  changes?: ChangeSource;
}

interface Row {
  id: string;
  profile: Uint8Array;
  passwordHash: string;
  passwordChangedAt: Date;
  status: string;
}

/** What every token of a customer asks; the rest goes through Prisma. */
const findById: Statement = {
  name: 'customer_find',
  text: `SELECT id, profile, password_hash AS "passwordHash", password_changed_at AS "passwordChangedAt", status
    FROM customers WHERE id = $1::uuid`,
};

/** The store of customers. */
export function createCustomerStore(dependencies: Dependencies): CustomerStore {
  const keys = [dependencies.digestKey, ...(dependencies.olderDigestKeys ?? [])];
  const digestsOf: DigestsOf = (username) => {
    const name = normaliseUsername(username);
    const digest = (key: Buffer) => new Uint8Array(keyedDigest(key, 'username', name));
    return { present: digest(dependencies.digestKey), all: keys.map(digest) };
  };
  const memory = createRequestMemory<Customer | undefined>();
  const read = createRead(dependencies);
  const inUse = createChangeMemory<CustomerInUse | 'absent'>({
    ...{ changes: dependencies.changes ?? noChanges, topic: 'customers', max: maxInUse },
    read: async (id) => inUseOf(await read(id)),
  });
  const forget = (id: string) => {
    memory.forget();
    inUse.forget(id);
  };
  return {
    find: (id) => memory.recall(id, () => read(id)),
    async recall(id) {
      const found = await inUse.recall(id);
      return found === 'absent' ? undefined : found;
    },
    ...createReader(dependencies, digestsOf),
    ...createWriter(dependencies, forget, digestsOf),
  };
}

/** About 1 kB a customer. */
const maxInUse = 20_000;

function inUseOf(customer: Customer | undefined): CustomerInUse | 'absent' {
  if (customer === undefined) return 'absent';
  const { id, profile, status } = customer;
  return { id, profile, status };
}

type Read = (id: string) => Promise<Customer | undefined>;

/** Under the present key, and under every key. */
type DigestsOf = (username: string) => {
  present: Uint8Array<ArrayBuffer>;
  all: Uint8Array<ArrayBuffer>[];
};
type Reads = 'findByUsername' | 'list';

function createDecode({ encryption }: Pick<Dependencies, 'encryption'>) {
  return (row: Row | null | undefined): Customer | undefined =>
    row
      ? {
          id: row.id,
          profile: JSON.parse(encryption.open(row.profile, contextOf(row.id))) as CustomerProfile,
          passwordHash: row.passwordHash,
          passwordChangedAt: row.passwordChangedAt,
          status: row.status === 'active' ? 'active' : 'suspended',
        }
      : undefined;
}

function createRead({ sql, encryption }: Pick<Dependencies, 'sql' | 'encryption'>): Read {
  const decode = createDecode({ encryption });
  return async (id) => {
    if (!isUuid(id)) return undefined;
    return decode((await sql.rows<Row>(findById, [id]))[0]);
  };
}

function createReader(
  { prisma, encryption }: Dependencies,
  digestsOf: DigestsOf,
): Pick<CustomerStore, Reads> {
  const decode = createDecode({ encryption });
  return {
    async findByUsername(username) {
      const { present, all } = digestsOf(username);
      const where = { usernameDigest: present };
      const row = await prisma.customer.findUnique({ where });
      if (row !== null || all.length === 1) return decode(row);
      await renewDigest(prisma, present, all);
      return decode(await prisma.customer.findUnique({ where }));
    },

    async list() {
      const rows = await prisma.customer.findMany({ orderBy: { createdAt: 'asc' } });
      return rows.map(decode).filter((customer) => customer !== undefined);
    },
  };
}

/** A user name that is taken under an older key is taken. */
async function renewDigest(
  prisma: Pick<PrismaClient, 'customer'>,
  present: Uint8Array<ArrayBuffer>,
  all: readonly Uint8Array<ArrayBuffer>[],
): Promise<void> {
  const older = all.slice(1);
  if (older.length === 0) return;
  await prisma.customer.updateMany({
    where: { usernameDigest: { in: older } },
    data: { usernameDigest: present },
  });
}

function createWriter(
  { prisma, encryption }: Dependencies,
  forget: (id: string) => void,
  digestsOf: DigestsOf,
): Omit<CustomerStore, Reads | 'find' | 'recall'> {
  async function update(
    where: { id: string; passwordHash?: string },
    data: Prisma.CustomerUpdateManyMutationInput,
  ): Promise<number> {
    forget(where.id);
    const { count } = await prisma.customer.updateMany({ where, data });
    forget(where.id);
    return count;
  }

  return {
    async insert({ id, profile, passwordHash, passwordChangedAt, status }) {
      const { present, all } = digestsOf(profile.username);
      await renewDigest(prisma, present, all);
      const data = {
        id,
        usernameDigest: present,
        profile: encryption.seal(JSON.stringify(profile), contextOf(id)),
        passwordHash,
        passwordChangedAt,
        status,
      };
      const { count } = await prisma.customer.createMany({ data: [data], skipDuplicates: true });
      forget(id);
      if (count === 0) throw new Problem('customer_exists', { detail: profile.username });
    },

    async setPassword(id, { hash, changedAt }) {
      const count = await update({ id }, { passwordHash: hash, passwordChangedAt: changedAt });
      if (count === 0) throw new Problem('customer_not_found', { detail: id });
    },

    async replaceHash(id, hashes) {
      await update({ id, passwordHash: hashes.old }, { passwordHash: hashes.new });
    },

    async setProfile(id, profile) {
      const sealed = encryption.seal(JSON.stringify(profile), contextOf(id));
      const count = await update({ id }, { profile: sealed });
      if (count === 0) throw new Problem('customer_not_found', { detail: id });
    },

    async setStatus(id, status) {
      const count = await update({ id }, { status });
      if (count === 0) throw new Problem('customer_not_found', { detail: id });
    },

    async endSessions(id) {
      // The mark keeps what a request on its way writes of a session from being one.
      await prisma.$executeRaw`
        WITH ended AS (
          UPDATE customer_sessions SET ended_at = now() WHERE customer_id = ${id} AND ended_at IS NULL)
        DELETE FROM artifacts WHERE customer_id = ${id}`;
    },
  };
}

const contextOf = (id: string) => `customer:${id}`;

function isUuid(id: string): boolean {
  return /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/i.test(id);
}
