import Provider, { errors } from 'oidc-provider';
import type { Adapter, AdapterPayload } from 'oidc-provider';
import type { Clock } from '../clock.ts';
import { secondsFromNow } from '../clock.ts';
import type { PrismaClient } from '../database/generated/client.ts';
import type { Encryption } from '../security/encryption.ts';
import { createArtifactCodec, digestOfId } from './artifact-codec.ts';
import type { ArtifactCodec, Bytes } from './artifact-codec.ts';
import { isOwnRetry, isSubstitute, noteReuse, storesRefreshToken } from './refresh-retries.ts';
import type { ReplayListener, RetryPolicy } from './refresh-retries.ts';

/** What the store needs besides the database. */
export interface ArtifactStoreDependencies {
  prisma: Pick<PrismaClient, 'artifact' | '$executeRaw'>;
  encryption: Encryption;
  clock: Clock;
  /** Told when a single-use artifact is presented again; everything issued from its grant is gone by then. */
  onReplay: ReplayListener;
  /** Whose second refresh at the same time is no replay. */
  retries: RetryPolicy;
}

/** What oidc-provider keeps, under digests of the ids and with encrypted payloads. */
export interface ArtifactStore {
  adapterFor(kind: string): Adapter;
  /** Claims an interaction for its one completion; false when another request was first. */
  claimInteraction(uid: string): Promise<boolean>;
  /** Gives a claim back whose completion failed. */
  releaseInteraction(uid: string): Promise<void>;
  /** Deletes everything that belongs to a grant, the grant included. */
  destroyGrant(grantId: string): Promise<void>;
  /**
   * Remembers what a rotated refresh token was answered with; `answer` is sealed already. False when another answer is
   * remembered, which stands.
   */
  rememberAnswer(refreshToken: string, answer: Bytes): Promise<boolean>;
  findAnswer(refreshToken: string): Promise<Bytes | undefined>;
}

/** Kinds that are written once: a plain insert is cheaper and can't overwrite. */
const writtenOnce = new Set([
  'AuthorizationCode',
  'RefreshToken',
  'AccessToken',
  'ClientCredentials',
]);

/** The storage of oidc-provider's models except clients. */
export function createArtifactStore(dependencies: ArtifactStoreDependencies): ArtifactStore {
  const { prisma, clock } = dependencies;
  const uses = createPendingUses();

  return {
    adapterFor: (kind) => createAdapter(kind, dependencies, uses),

    async claimInteraction(uid) {
      const { count } = await prisma.artifact.updateMany({
        where: { kind: 'Interaction', idDigest: digestOfId(uid), consumedAt: null },
        data: { consumedAt: clock.now() },
      });
      return count === 1;
    },

    async releaseInteraction(uid) {
      const where = { kind: 'Interaction', idDigest: digestOfId(uid) };
      await prisma.artifact.updateMany({ where, data: { consumedAt: null } });
    },

    async destroyGrant(grantId) {
      await prisma.artifact.deleteMany({ where: { grantDigest: digestOfId(grantId) } });
    },

    async rememberAnswer(refreshToken, answer) {
      const where = { kind: 'RefreshToken', idDigest: digestOfId(refreshToken), answer: null };
      const { count } = await prisma.artifact.updateMany({ where, data: { answer } });
      return count === 1;
    },

    async findAnswer(refreshToken) {
      const id = { kind: 'RefreshToken', idDigest: digestOfId(refreshToken) };
      const row = await prisma.artifact.findUnique({ where: { kind_idDigest: id } });
      return row?.answer ?? undefined;
    },
  };
}

/** A single-use artifact that the request's next insert is to use up. */
interface PendingUse {
  kind: string;
  idDigest: Bytes;
  /** The first use ended before it was answered; this one may take its place as long as no answer is kept. */
  isSubstitute?: boolean;
}

/**
 * oidc-provider uses an artifact up and stores what it was used for in two calls. Both become one statement: the use
 * is noted for the request, and its next insert carries it out. A crash leaves both or neither.
 */
function createPendingUses() {
  const pending = new WeakMap<object, PendingUse>();
  return {
    /** Whether the use could be left to an insert that is sure to come. */
    defer(use: PendingUse): boolean {
      const { ctx } = Provider;
      if (ctx === undefined || !storesRefreshToken(ctx, use.kind)) return false;
      pending.set(ctx, { ...use, isSubstitute: isSubstitute(ctx) });
      return true;
    },
    take(): PendingUse | undefined {
      const { ctx } = Provider;
      const use = ctx === undefined ? undefined : pending.get(ctx);
      if (ctx !== undefined) pending.delete(ctx);
      return use;
    },
  };
}

type PendingUses = ReturnType<typeof createPendingUses>;

function createAdapter(
  kind: string,
  dependencies: ArtifactStoreDependencies,
  uses: PendingUses,
): Adapter {
  const { prisma, clock, encryption } = dependencies;
  const codec = createArtifactCodec(kind, encryption);
  const singleUse = createSingleUse(dependencies);
  const key = (id: string) => ({ kind_idDigest: { kind, idDigest: digestOfId(id) } });

  return {
    async upsert(id, payload, expiresIn) {
      const row = newRow(kind, { id, payload, expiresIn }, { codec, clock });
      const use = writtenOnce.has(kind) ? uses.take() : undefined;
      if (use !== undefined) await singleUse.useUpAndInsert(use, row);
      else if (writtenOnce.has(kind)) await prisma.artifact.create({ data: row });
      else {
        // `consumedAt` is not among the data: saving an artifact again never makes it usable again.
        const { kind: _kind, idDigest: _digest, ...update } = row;
        await prisma.artifact.upsert({ where: key(id), create: row, update });
      }
    },

    async find(id) {
      const row = await prisma.artifact.findUnique({ where: key(id) });
      if (row === null) return undefined;
      const payload = codec.decode(id, row);
      return kind === 'RefreshToken'
        ? noteReuse(payload, row, { clock, ctx: Provider.ctx })
        : payload;
    },

    async findByUid(uid) {
      const row = await prisma.artifact.findFirst({ where: { kind, uidDigest: digestOfId(uid) } });
      return row === null ? undefined : codec.decode(undefined, row);
    },

    // Device codes are not offered yet.
    findByUserCode: () => Promise.resolve(undefined),

    async consume(id) {
      const use = { kind, idDigest: digestOfId(id) };
      if (!uses.defer(use)) await singleUse.useUp(use);
    },

    async destroy(id) {
      const where = { kind, idDigest: digestOfId(id) };
      // A crash between the token and the rest would leave access tokens that no retry of the revocation finds.
      if (kind === 'RefreshToken') await destroyFamily(prisma, where);
      const { count } = await prisma.artifact.deleteMany({ where });
      if (kind === 'Interaction' && count === 0) {
        throw new errors.SessionNotFound('the interaction was already completed');
      }
    },

    // oidc-provider asks for one kind after the other, and for the grant; a crash in between must not leave a part.
    async revokeByGrantId(grantId) {
      if (isAccessTokenRevocation()) return;
      await prisma.artifact.deleteMany({ where: { grantDigest: digestOfId(grantId) } });
    },
  };
}

/** Deletes everything of the grant that a token belongs to, in one statement. */
async function destroyFamily(
  prisma: Pick<PrismaClient, '$executeRaw'>,
  { kind, idDigest }: { kind: string; idDigest: Bytes },
): Promise<void> {
  await prisma.$executeRaw`
    DELETE FROM artifacts WHERE grant_digest = (
      SELECT grant_digest FROM artifacts WHERE kind = ${kind} AND id_digest = ${idDigest})`;
}

/** RFC 7009 §2.1 leaves it to us: who revokes an access token does not lose the refresh token. */
function isAccessTokenRevocation(): boolean {
  const oidc = Provider.ctx?.oidc;
  return oidc?.route === 'revocation' && oidc.entities.AccessToken !== undefined;
}

type NewRow = ReturnType<typeof newRow>;

function newRow(
  kind: string,
  artifact: { id: string; payload: AdapterPayload; expiresIn: number | undefined },
  { codec, clock }: { codec: ArtifactCodec; clock: Clock },
) {
  const { id, payload, expiresIn } = artifact;
  return {
    kind,
    idDigest: digestOfId(id),
    ...codec.columns(id, payload),
    expiresAt: expiresIn === undefined ? null : secondsFromNow(clock, expiresIn),
  };
}

/** Uses an artifact up by one conditional statement; whoever comes second has it against them. */
function createSingleUse({ prisma, clock, onReplay, retries }: ArtifactStoreDependencies) {
  /** Used twice at once, which RFC 9700 §4.13 treats as a replay: nothing issued from it may live. */
  async function lostRace({ kind, idDigest }: PendingUse): Promise<never> {
    if (!isOwnRetry(Provider.ctx, kind, retries)) {
      const where = { kind_idDigest: { kind, idDigest } };
      const row = await prisma.artifact.findUnique({ where, select: { grantDigest: true } });
      const grantDigest = row?.grantDigest;
      if (grantDigest) await prisma.artifact.deleteMany({ where: { grantDigest } });
      onReplay(kind, Provider.ctx?.oidc.client?.clientId);
    }
    throw new errors.InvalidGrant(`${kind} was already used`);
  }

  return {
    async useUp(use: PendingUse): Promise<void> {
      const { count } = await prisma.artifact.updateMany({
        where: { ...use, consumedAt: null },
        data: { consumedAt: clock.now() },
      });
      if (count === 0) await lostRace(use);
    },

    /** Prisma has no statement that updates one row and inserts another only if it did. */
    async useUpAndInsert(use: PendingUse, row: NewRow): Promise<void> {
      const inserted = await prisma.$executeRaw`
        WITH used AS (
          UPDATE artifacts SET consumed_at = COALESCE(consumed_at, ${clock.now()}::timestamptz)
          WHERE kind = ${use.kind} AND id_digest = ${use.idDigest}
            AND (consumed_at IS NULL OR (${use.isSubstitute === true}::boolean AND answer IS NULL))
          RETURNING 1)
        INSERT INTO artifacts
          (kind, id_digest, payload, grant_digest, uid_digest, client_id, customer_id, expires_at)
        SELECT ${row.kind}, ${row.idDigest}::bytea, ${row.payload}::bytea, ${row.grantDigest}::bytea,
          ${row.uidDigest}::bytea, ${row.clientId}, ${row.customerId}, ${row.expiresAt}::timestamptz
        FROM used`;
      if (inserted === 0) await lostRace(use);
    },
  };
}
