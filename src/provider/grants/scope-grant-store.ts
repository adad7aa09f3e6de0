import type { PrismaClient } from '../../database/generated/client.ts';
import type { Sql, Statement } from '../../database/sql.ts';
import type { Encryption } from '../../security/encryption.ts';
import { createArtifactCodec, digestOfId } from '../storage/artifact-codec.ts';
import type { Bytes } from '../storage/artifact-codec.ts';
import type { EngineGrant } from './managed-id.ts';

/** What one client holds of a customer by scopes alone, which no consent object stands for. */
export interface ScopeGrants {
  clientId: string;
  /** SHA-256 of the client's id in base64url: names it in addresses. */
  reference: string;
  /** When the first of the grants was made. */
  since: Date;
  /** When the last of them has ended. */
  until: Date;
  /** The engine's, the last made first. */
  grants: OpenedGrant[];
}

/** What a grant of the engine gives. */
export interface OpenedGrant {
  openid?: { scope?: string; claims?: string[] };
  /** Resource server identifier → scopes, separated by spaces. */
  resources?: Record<string, string>;
}

interface Row {
  clientId: string;
  idDigest: Bytes;
  payload: Bytes;
  since: Date;
  until: Date;
}

const statement = (name: string, text: string): Statement => ({
  name: `scope_grants_${name}`,
  text,
});

// The grant of a consent has the consent's id.
const own = `kind = 'Grant' AND customer_id = $1 AND client_id IS NOT NULL AND id_digest NOT IN (
  SELECT sha256(convert_to(id, 'UTF8')) FROM consents WHERE customer_id = $1)`;

// A client that may not be recognised asks at each login and has many; its last hundred say what it can do.
const find = statement(
  'find',
  `SELECT * FROM (
      SELECT client_id AS "clientId", id_digest AS "idDigest", payload,
        min(created_at) OVER of_client AS since, max(expires_at) OVER of_client AS until,
        row_number() OVER (PARTITION BY client_id ORDER BY created_at DESC, id_digest) AS place
      FROM artifacts WHERE ${own} AND expires_at > $2::timestamptz
      WINDOW of_client AS (PARTITION BY client_id)
    ) AS held WHERE place <= 100 ORDER BY since DESC, "clientId", place`,
);

const held = statement(
  'held',
  `SELECT id_digest AS "idDigest", payload FROM artifacts
    WHERE ${own} AND sha256(convert_to(client_id, 'UTF8')) = $2`,
);

// Grants are locked first and in one order, so that two of these at once wait for each other and one alone ends them.
const end = `WITH held AS (
      SELECT client_id, grant_digest FROM artifacts
      WHERE ${own} AND sha256(convert_to(client_id, 'UTF8')) = $2
      ORDER BY id_digest FOR UPDATE),
    gone AS (
      DELETE FROM artifacts WHERE grant_digest IN (SELECT grant_digest FROM held) RETURNING 1)
    SELECT client_id AS "clientId", count(*)::int AS count FROM held GROUP BY client_id`;

interface Dependencies {
  sql: Sql;
  prisma: Pick<PrismaClient, '$executeRaw' | '$queryRawUnsafe' | '$transaction'>;
  encryption: Encryption;
}

/** The store of {@link ScopeGrants}. */
export type ScopeGrantStore = ReturnType<typeof createScopeGrantStore>;

/** Reads and ends them by plain statements. Errors are those of the database. */
export function createScopeGrantStore({ sql, prisma, encryption }: Dependencies) {
  const codec = createArtifactCodec('Grant', encryption);
  const opened = ({ idDigest, payload }: Pick<Row, 'idDigest' | 'payload'>) =>
    codec.parse(undefined, codec.open({ idDigest, payload, consumedAt: null })) as OpenedGrant &
      Pick<EngineGrant, 'managedId'>;

  /** The ids under which the client manages what it holds. */
  async function managedIds(customerId: string, digest: Uint8Array): Promise<string[]> {
    const rows = await sql.rows<Pick<Row, 'idDigest' | 'payload'>>(held, [customerId, digest]);
    return rows.flatMap((row) => opened(row).managedId ?? []);
  }

  return {
    /** By client, the last one that was new to the customer first. */
    async listOf(customerId: string, now: Date): Promise<ScopeGrants[]> {
      const rows = await sql.rows<Row>(find, [customerId, now]);
      const byClient = Map.groupBy(rows, ({ clientId }) => clientId);
      return [...byClient].map(([clientId, held]) => ({
        ...{ clientId, reference: Buffer.from(digestOfId(clientId)).toString('base64url') },
        since: held[0]?.since ?? now,
        until: held[0]?.until ?? now,
        grants: held.map(opened),
      }));
    },

    /**
     * Ends what the client of this reference holds, with every code and token; undefined where it holds nothing, and for all
     * but one of several calls at once.
     */
    async end(
      customerId: string,
      reference: string,
    ): Promise<{ clientId: string; count: number } | undefined> {
      const digest = new Uint8Array(Buffer.from(reference, 'base64url'));
      const managed = await managedIds(customerId, digest);
      // A merge that has read what ends now finds another version, and reads again; one that is done is seen by the second.
      const [, [ended]] = await prisma.$transaction([
        prisma.$executeRaw`UPDATE managed_grants SET version = version + 1 WHERE id IN (
          SELECT id FROM managed_grants WHERE id = ANY(${managed}) ORDER BY id FOR UPDATE)`,
        prisma.$queryRawUnsafe<{ clientId: string; count: number }[]>(end, customerId, digest),
      ]);
      return ended;
    },
  };
}
