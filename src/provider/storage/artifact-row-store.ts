import type { Sql, SqlValue, Statement } from '../../database/sql.ts';
import type { Bytes } from './artifact-codec.ts';

/** Where an artifact is: its kind, and the digest of its id. */
export interface ArtifactKey {
  kind: string;
  idDigest: Bytes;
}

/** An artifact as it is written. */
export interface NewArtifactRow extends ArtifactKey {
  payload: Bytes;
  grantDigest: Bytes | null;
  uidDigest: Bytes | null;
  clientId: string | null;
  customerId: string | null;
  expiresAt: Date | null;
}

/** What is read of one. */
export interface FoundArtifactRow {
  idDigest: Bytes;
  payload: Bytes;
  consumedAt: Date | null;
}

/** An artifact and the grant that it names, where that still stands. */
export interface FoundWithGrant extends FoundArtifactRow {
  grant: FoundArtifactRow | undefined;
}

/** The table of artifacts, one statement a call; those that give a number say how many rows they changed. */
export interface ArtifactRows {
  find(key: ArtifactKey): Promise<FoundArtifactRow | undefined>;
  /** One that belongs to a grant, and the grant: what is asked for next. */
  findWithGrant(key: ArtifactKey): Promise<FoundWithGrant | undefined>;
  /** An opaque token of whatever kind, by the digest of its value, and its grant. */
  findToken(idDigest: Bytes): Promise<(FoundWithGrant & { kind: string }) | undefined>;
  /** A browser's session, and the pushed request that it comes with. */
  findSessionAndRequest(digests: {
    session: Bytes;
    request: Bytes;
  }): Promise<{ session: FoundArtifactRow | undefined; request: FoundArtifactRow | undefined }>;
  /** A grant, unless the token with this digest of its `jti` was revoked. */
  findGrantOf(key: { grantDigest: Bytes; jtiDigest: Bytes }): Promise<FoundArtifactRow | undefined>;
  findByUid(kind: string, uidDigest: Bytes): Promise<FoundArtifactRow | undefined>;
  /** Rejects where the key is taken. */
  insert(row: NewArtifactRow): Promise<number>;
  /** Inserts or replaces; what was used up stays so. */
  put(row: NewArtifactRow): Promise<number>;
  /** Replaces; false where there is nothing (any more). */
  replace(row: NewArtifactRow): Promise<boolean>;
  /** Whether this call used it up, and no other before. */
  useUp(key: ArtifactKey, at: Date): Promise<boolean>;
  /** Takes {@link useUp} back. */
  release(key: ArtifactKey): Promise<number>;
  /** Uses one up and inserts what it was used for, or does neither and gives false. */
  useUpAndInsert(use: ArtifactKey & Substitution, row: NewArtifactRow, at: Date): Promise<boolean>;
  delete(key: ArtifactKey): Promise<number>;
  deleteGrant(grantDigest: Bytes): Promise<number>;
  /** Deletes everything of the grant that the artifact belongs to, the artifact included. */
  deleteFamily(key: ArtifactKey): Promise<number>;
  /** False where an answer is kept already. */
  keepAnswer(key: ArtifactKey, answer: Bytes): Promise<boolean>;
  findAnswer(key: ArtifactKey): Promise<Bytes | undefined>;
}

/** Whether a used artifact may be used once more, as long as no answer is kept. */
interface Substitution {
  isSubstitute?: boolean;
}

const columns =
  'kind, id_digest, payload, grant_digest, uid_digest, client_id, customer_id, expires_at';
const byKey = 'WHERE kind = $1 AND id_digest = $2';
// A request that began before the end may have written the session once more.
const notEnded = `NOT EXISTS (SELECT FROM customer_sessions AS s
      WHERE s.uid_digest = artifacts.uid_digest AND s.ended_at IS NOT NULL)`;
const withGrant = `a.payload, a.consumed_at AS "consumedAt", g.id_digest AS "grantDigest", g.payload AS "grantPayload"
    FROM artifacts AS a LEFT JOIN artifacts AS g ON g.kind = 'Grant' AND g.id_digest = a.grant_digest`;

const statements = {
  find: `SELECT payload, consumed_at AS "consumedAt" FROM artifacts ${byKey}`,
  findSession: `SELECT payload, consumed_at AS "consumedAt" FROM artifacts ${byKey} AND ${notEnded}`,
  findWithGrant: `SELECT ${withGrant} WHERE a.kind = $1 AND a.id_digest = $2`,
  findToken: `SELECT a.kind, ${withGrant}
    WHERE a.kind IN ('AccessToken', 'ClientCredentials', 'RefreshToken') AND a.id_digest = $1`,
  findSessionAndRequest: `SELECT kind, payload, consumed_at AS "consumedAt" FROM artifacts
    WHERE kind = 'Session' AND id_digest = $1 AND ${notEnded}
    UNION ALL SELECT kind, payload, consumed_at FROM artifacts
    WHERE kind = 'PushedAuthorizationRequest' AND id_digest = $2`,
  findGrantOf: `SELECT payload, consumed_at AS "consumedAt" FROM artifacts
    WHERE kind = 'Grant' AND id_digest = $1
      AND NOT EXISTS (SELECT FROM revoked_tokens WHERE jti_digest = $2)`,
  findByUid: `SELECT id_digest AS "idDigest", payload, consumed_at AS "consumedAt" FROM artifacts
    WHERE kind = $1 AND uid_digest = $2 AND ${notEnded} LIMIT 1`,
  insert: `INSERT INTO artifacts (${columns}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
  put: `INSERT INTO artifacts (${columns}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    ON CONFLICT (kind, id_digest) DO UPDATE SET payload = EXCLUDED.payload,
      grant_digest = EXCLUDED.grant_digest, uid_digest = EXCLUDED.uid_digest,
      client_id = EXCLUDED.client_id, customer_id = EXCLUDED.customer_id, expires_at = EXCLUDED.expires_at`,
  replace: `UPDATE artifacts SET payload = $3::bytea, grant_digest = $4::bytea, uid_digest = $5::bytea,
    client_id = $6, customer_id = $7, expires_at = $8::timestamptz ${byKey}`,
  useUp: `UPDATE artifacts SET consumed_at = $3 ${byKey} AND consumed_at IS NULL`,
  release: `UPDATE artifacts SET consumed_at = NULL ${byKey}`,
  useUpAndInsert: `WITH used AS (
      UPDATE artifacts SET consumed_at = COALESCE(consumed_at, $9::timestamptz)
      WHERE kind = $10 AND id_digest = $11 AND (consumed_at IS NULL OR ($12::boolean AND answer IS NULL))
      RETURNING 1)
    INSERT INTO artifacts (${columns})
    SELECT $1, $2::bytea, $3::bytea, $4::bytea, $5::bytea, $6, $7, $8::timestamptz FROM used`,
  delete: `DELETE FROM artifacts ${byKey}`,
  deleteGrant: 'DELETE FROM artifacts WHERE grant_digest = $1',
  deleteFamily: `DELETE FROM artifacts WHERE grant_digest = (SELECT grant_digest FROM artifacts ${byKey})`,
  keepAnswer: `UPDATE artifacts SET answer = $3 ${byKey} AND answer IS NULL`,
  findAnswer: `SELECT answer FROM artifacts ${byKey}`,
};

const statement = (name: keyof typeof statements): Statement => ({
  name: `artifact_${name}`,
  text: statements[name],
});

const valuesOf = (row: NewArtifactRow): SqlValue[] => [
  row.kind,
  row.idDigest,
  row.payload,
  row.grantDigest,
  row.uidDigest,
  row.clientId,
  row.customerId,
  row.expiresAt,
];

const isOne = async (changed: Promise<number>): Promise<boolean> => (await changed) === 1;

type Reads = {
  [Name in keyof ArtifactRows]: Name extends `find${string}` ? Name : never;
}[keyof ArtifactRows];

/**
 * Artifacts by plain statements: every token and page needs some of them. `onWrite` is told before and after whatever
 * changes a row. Errors are those of the database.
 */
export function createArtifactRows(sql: Sql, onWrite: () => void): ArtifactRows {
  async function run(name: keyof typeof statements, values: SqlValue[]): Promise<number> {
    onWrite();
    try {
      return await sql.run(statement(name), values);
    } finally {
      onWrite();
    }
  }

  return {
    ...createReads(sql),
    insert: (row) => run('insert', valuesOf(row)),
    put: (row) => run('put', valuesOf(row)),
    replace: (row) => isOne(run('replace', valuesOf(row))),
    useUp: ({ kind, idDigest }, at) => isOne(run('useUp', [kind, idDigest, at])),
    release: ({ kind, idDigest }) => run('release', [kind, idDigest]),
    useUpAndInsert({ kind, idDigest, isSubstitute = false }, row, at) {
      const values = [...valuesOf(row), at, kind, idDigest, isSubstitute];
      return isOne(run('useUpAndInsert', values));
    },
    delete: ({ kind, idDigest }) => run('delete', [kind, idDigest]),
    deleteGrant: (grantDigest) => run('deleteGrant', [grantDigest]),
    deleteFamily: ({ kind, idDigest }) => run('deleteFamily', [kind, idDigest]),
    keepAnswer: ({ kind, idDigest }, answer) => isOne(run('keepAnswer', [kind, idDigest, answer])),
  };
}

type WithoutDigest = Omit<FoundArtifactRow, 'idDigest'>;

type JoinedRow = WithoutDigest & { grantDigest: Bytes | null; grantPayload: Bytes | null };

function apart(idDigest: Bytes, row: JoinedRow): FoundWithGrant {
  const { payload, consumedAt, grantDigest, grantPayload } = row;
  const grant =
    grantDigest === null || grantPayload === null
      ? undefined
      : { idDigest: grantDigest, payload: grantPayload, consumedAt: null };
  return { idDigest, payload, consumedAt, grant };
}

function createReads(sql: Sql): Pick<ArtifactRows, Reads> {
  async function first<Row extends object>(
    name: keyof typeof statements,
    values: SqlValue[],
  ): Promise<Row | undefined> {
    return (await sql.rows<Row>(statement(name), values))[0];
  }

  return {
    async find({ kind, idDigest }) {
      const name = kind === 'Session' ? 'findSession' : 'find';
      const row = await first<WithoutDigest>(name, [kind, idDigest]);
      return row && { idDigest, ...row };
    },

    async findWithGrant({ kind, idDigest }) {
      const row = await first<JoinedRow>('findWithGrant', [kind, idDigest]);
      return row && apart(idDigest, row);
    },

    async findToken(idDigest) {
      const row = await first<JoinedRow & { kind: string }>('findToken', [idDigest]);
      return row && { kind: row.kind, ...apart(idDigest, row) };
    },

    async findSessionAndRequest({ session, request }) {
      const named = statement('findSessionAndRequest');
      const rows = await sql.rows<WithoutDigest & { kind: string }>(named, [session, request]);
      const of = (kind: string, idDigest: Bytes) => {
        const row = rows.find((one) => one.kind === kind);
        return row && { idDigest, payload: row.payload, consumedAt: row.consumedAt };
      };
      return {
        session: of('Session', session),
        request: of('PushedAuthorizationRequest', request),
      };
    },

    async findGrantOf({ grantDigest, jtiDigest }) {
      const row = await first<WithoutDigest>('findGrantOf', [grantDigest, jtiDigest]);
      return row && { idDigest: grantDigest, ...row };
    },

    findByUid: (kind, uidDigest) => first('findByUid', [kind, uidDigest]),

    async findAnswer({ kind, idDigest }) {
      const row = await first<{ answer: Bytes | null }>('findAnswer', [kind, idDigest]);
      return row?.answer ?? undefined;
    },
  };
}
