import type { PrismaClient } from '../database/generated/client.ts';
import { Problem } from '../problem.ts';
import type { Encryption } from '../security/encryption.ts';
import { keyedDigest } from '../security/secrets.ts';
import { normaliseUsername } from './customer.ts';
import type { Customer, CustomerProfile } from './customer.ts';

/** Customers in the database: found by a keyed digest of the user name, their data encrypted. */
export interface CustomerStore {
  find(id: string): Promise<Customer | undefined>;
  findByUsername(username: string): Promise<Customer | undefined>;
  list(): Promise<Customer[]>;
  /** Problem('customer_exists') when the user name is taken. */
  insert(customer: Customer): Promise<void>;
  /** Problem('customer_not_found'). */
  setPassword(id: string, password: { hash: string; changedAt: Date }): Promise<void>;
  /** Replaces a hash by one of the same password at another cost, unless the password was changed meanwhile. */
  replaceHash(id: string, hashes: { old: string; new: string }): Promise<void>;
  /** Problem('customer_not_found'). */
  setStatus(id: string, status: Customer['status']): Promise<void>;
  /** Ends the customer's sessions, grants and tokens. */
  endSessions(id: string): Promise<void>;
}

interface Dependencies {
  prisma: Pick<PrismaClient, 'customer' | 'artifact'>;
  encryption: Encryption;
  digestKey: Buffer;
}

interface Row {
  id: string;
  profile: Uint8Array;
  passwordHash: string;
  passwordChangedAt: Date;
  status: string;
}

/** The store of customers. */
export function createCustomerStore({
  prisma,
  encryption,
  digestKey,
}: Dependencies): CustomerStore {
  const digestOf = (username: string) =>
    new Uint8Array(keyedDigest(digestKey, 'username', normaliseUsername(username)));

  const decode = (row: Row | null): Customer | undefined =>
    row === null
      ? undefined
      : {
          id: row.id,
          profile: JSON.parse(encryption.open(row.profile, contextOf(row.id))) as CustomerProfile,
          passwordHash: row.passwordHash,
          passwordChangedAt: row.passwordChangedAt,
          status: row.status === 'active' ? 'active' : 'suspended',
        };

  return {
    async find(id) {
      return isUuid(id) ? decode(await prisma.customer.findUnique({ where: { id } })) : undefined;
    },

    async findByUsername(username) {
      const where = { usernameDigest: digestOf(username) };
      return decode(await prisma.customer.findUnique({ where }));
    },

    async list() {
      const rows = await prisma.customer.findMany({ orderBy: { createdAt: 'asc' } });
      return rows.map(decode).filter((customer) => customer !== undefined);
    },

    async insert({ id, profile, passwordHash, passwordChangedAt, status }) {
      const data = {
        id,
        usernameDigest: digestOf(profile.username),
        profile: encryption.seal(JSON.stringify(profile), contextOf(id)),
        passwordHash,
        passwordChangedAt,
        status,
      };
      const { count } = await prisma.customer.createMany({ data: [data], skipDuplicates: true });
      if (count === 0) throw new Problem('customer_exists', { detail: profile.username });
    },

    async setPassword(id, { hash, changedAt }) {
      const data = { passwordHash: hash, passwordChangedAt: changedAt };
      const { count } = await prisma.customer.updateMany({ where: { id }, data });
      if (count === 0) throw new Problem('customer_not_found', { detail: id });
    },

    async replaceHash(id, hashes) {
      const where = { id, passwordHash: hashes.old };
      await prisma.customer.updateMany({ where, data: { passwordHash: hashes.new } });
    },

    async setStatus(id, status) {
      const { count } = await prisma.customer.updateMany({ where: { id }, data: { status } });
      if (count === 0) throw new Problem('customer_not_found', { detail: id });
    },

    async endSessions(id) {
      await prisma.artifact.deleteMany({ where: { customerId: id } });
    },
  };
}

const contextOf = (id: string) => `customer:${id}`;

function isUuid(id: string): boolean {
  return /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/i.test(id);
}
