import type { Sql, Statement } from '../../database/sql.ts';

/** What a customer allowed a client under an id that the client manages. */
export interface ManagedGrant {
  id: string;
  clientId: string;
  customerId: string;
  /** The engine's grants that it consists of: one for each consent, and one for scopes alone. */
  members: readonly string[];
  /** A change is made to the version that was read, or not at all. */
  version: number;
  createdAt: Date;
  updatedAt: Date;
  /** When the last member has ended at the latest. */
  expiresAt: Date;
}

/** What becomes of a grant. */
export interface GrantChange {
  members: readonly string[];
  /** Members whose codes and tokens end with the change, and they themselves. */
  ended: readonly string[];
  at: Date;
  expiresAt: Date;
}

/** 24 random bytes in base64url. Anything else is no grant, and Postgres refuses U+0000 in a text. */
const idShape = /^[\w-]{32}$/;

const columns = `id, client_id AS "clientId", customer_id AS "customerId", members, version,
  created_at AS "createdAt", updated_at AS "updatedAt", expires_at AS "expiresAt"`;

/** Artifacts are found by the SHA-256 of their grant's id. */
const endAll = (names: string, from: string) => `DELETE FROM artifacts WHERE grant_digest IN (
  SELECT sha256(convert_to(name, 'UTF8')) FROM ${from}, unnest(${names}) AS name)`;

const statements = {
  insert: `INSERT INTO managed_grants (id, client_id, customer_id, members, created_at, updated_at, expires_at)
    VALUES ($1, $2, $3, string_to_array($4, ' '), $5, $5, $6)`,
  find: `SELECT ${columns} FROM managed_grants WHERE id = $1 AND expires_at > $2`,
  // Grant and tokens: all or nothing. Of two changes to one version the second finds nothing.
  change: `WITH changed AS (
      UPDATE managed_grants SET members = string_to_array($3, ' '), version = version + 1,
        updated_at = $4, expires_at = $5
      WHERE id = $1 AND version = $2 RETURNING id),
    ended AS (${endAll("string_to_array($6, ' ')", 'changed')})
    SELECT id FROM changed`,
  end: `WITH gone AS (
      DELETE FROM managed_grants WHERE id = $1 AND version = $2 RETURNING id),
    ended AS (${endAll("string_to_array($3, ' ')", 'gone')})
    SELECT id FROM gone`,
};

const statement = (name: keyof typeof statements): Statement => ({
  name: `managed_grant_${name}`,
  text: statements[name],
});

/** The table of managed grants, one statement a call. */
export type ManagedGrantStore = ReturnType<typeof createManagedGrantStore>;

/** Managed grants by plain statements. Errors are those of the database. */
export function createManagedGrantStore(sql: Sql) {
  return {
    async insert(grant: Omit<ManagedGrant, 'version' | 'updatedAt'>): Promise<void> {
      const { id, clientId, customerId, members, createdAt, expiresAt } = grant;
      const values = [id, clientId, customerId, members.join(' '), createdAt, expiresAt];
      await sql.run(statement('insert'), values);
    },

    /** Undefined for a grant whose time is over. */
    async find(id: string, now: Date): Promise<ManagedGrant | undefined> {
      if (!idShape.test(id)) return undefined;
      const [row] = await sql.rows<ManagedGrant>(statement('find'), [id, now]);
      return row;
    },

    /** False where the grant is not, or no longer, of this version. */
    async change(
      { id, version }: Pick<ManagedGrant, 'id' | 'version'>,
      { members, ended, at, expiresAt }: GrantChange,
    ): Promise<boolean> {
      const values = [id, version, members.join(' '), at, expiresAt, ended.join(' ')];
      return (await sql.rows(statement('change'), values)).length === 1;
    },

    /** Ends the grant with every code and token of `members`; false where it is not, or no longer, of this version. */
    async end(
      { id, version }: Pick<ManagedGrant, 'id' | 'version'>,
      members: readonly string[],
    ): Promise<boolean> {
      return (await sql.rows(statement('end'), [id, version, members.join(' ')])).length === 1;
    },
  };
}
