import { errors } from 'oidc-provider';
import type { Adapter, AdapterPayload } from 'oidc-provider';
import type { Clock } from '../clock.ts';
import { secondsFromNow } from '../clock.ts';
import type { PrismaClient } from '../database/generated/client.ts';
import type { Encryption } from '../security/encryption.ts';
import { sha256 } from '../security/secrets.ts';

type Model = Pick<PrismaClient, 'artifact'>;
type Bytes = Uint8Array<ArrayBuffer>;

/** What the store needs besides the database. */
export interface ArtifactStoreDependencies {
  prisma: Model;
  encryption: Encryption;
  clock: Clock;
  /** Told when a single-use artifact is presented again; everything issued from its grant is gone by then. */
  onReplay: (kind: string) => void;
}

/** What oidc-provider keeps, under digests of the ids and with encrypted payloads. */
export interface ArtifactStore {
  adapterFor(kind: string): Adapter;
  /** Claims an interaction for its one completion; false when another request was first. */
  claimInteraction(uid: string): Promise<boolean>;
  /** Deletes everything that belongs to a grant, the grant included. */
  destroyGrant(grantId: string): Promise<void>;
}

/** Kinds that are written once: a plain insert is cheaper and can't overwrite. */
const writtenOnce = new Set([
  'AuthorizationCode',
  'RefreshToken',
  'AccessToken',
  'ClientCredentials',
  'ReplayDetection',
]);

/** The storage of oidc-provider's models except clients. `consume` is one conditional statement. */
export function createArtifactStore(dependencies: ArtifactStoreDependencies): ArtifactStore {
  const { prisma, clock } = dependencies;

  return {
    adapterFor: (kind) => createAdapter(kind, dependencies),

    async claimInteraction(uid) {
      const { count } = await prisma.artifact.updateMany({
        where: { kind: 'Interaction', idDigest: digest(uid), consumedAt: null },
        data: { consumedAt: clock.now() },
      });
      return count === 1;
    },

    async destroyGrant(grantId) {
      await prisma.artifact.deleteMany({ where: { grantDigest: digest(grantId) } });
    },
  };
}

function createAdapter(kind: string, dependencies: ArtifactStoreDependencies): Adapter {
  const { prisma, clock, onReplay } = dependencies;
  const codec = createCodec(kind, dependencies.encryption);
  const key = (id: string) => ({ kind_idDigest: { kind, idDigest: digest(id) } });

  return {
    async upsert(id, payload, expiresIn) {
      const data = {
        ...codec.columns(id, payload),
        expiresAt: expiresIn === undefined ? null : secondsFromNow(clock, expiresIn),
      };
      const create = { kind, idDigest: digest(id), ...data };
      if (writtenOnce.has(kind)) await prisma.artifact.create({ data: create });
      // `consumedAt` is not among the data: saving an artifact again never makes it usable again.
      else await prisma.artifact.upsert({ where: key(id), create, update: data });
    },

    async find(id) {
      const row = await prisma.artifact.findUnique({ where: key(id) });
      return row === null ? undefined : codec.decode(id, row);
    },

    async findByUid(uid) {
      const row = await prisma.artifact.findFirst({ where: { kind, uidDigest: digest(uid) } });
      return row === null ? undefined : codec.decode(undefined, row);
    },

    // Device codes are not offered yet.
    findByUserCode: () => Promise.resolve(undefined),

    async consume(id) {
      const { count } = await prisma.artifact.updateMany({
        where: { kind, idDigest: digest(id), consumedAt: null },
        data: { consumedAt: clock.now() },
      });
      if (count === 1) return;
      // Lost a race: the artifact was used twice at once, which RFC 9700 §4.13 treats as a replay.
      const row = await prisma.artifact.findUnique({ where: key(id) });
      if (row?.grantDigest) {
        await prisma.artifact.deleteMany({ where: { grantDigest: row.grantDigest } });
      }
      onReplay(kind);
      throw new errors.InvalidGrant(`${kind} was already used`);
    },

    async destroy(id) {
      const { count } = await prisma.artifact.deleteMany({
        where: { kind, idDigest: digest(id) },
      });
      if (kind === 'Interaction' && count === 0) {
        throw new errors.SessionNotFound('the interaction was already completed');
      }
    },

    async revokeByGrantId(grantId) {
      await prisma.artifact.deleteMany({ where: { kind, grantDigest: digest(grantId) } });
    },
  };
}

interface Row {
  idDigest: Bytes;
  payload: Bytes;
  consumedAt: Date | null;
}

/** Turns payloads into columns and back; the id itself is left out and restored. */
function createCodec(kind: string, encryption: Encryption) {
  const context = (idDigest: Bytes) => `artifact:${kind}:${Buffer.from(idDigest).toString('hex')}`;

  return {
    columns(id: string, payload: AdapterPayload) {
      const { jti: _id, ...rest } = payload;
      const grantId = kind === 'Grant' ? id : payload.grantId;
      return {
        payload: encryption.seal(JSON.stringify(rest), context(digest(id))),
        grantDigest: grantId === undefined ? null : digest(grantId),
        uidDigest: payload.uid === undefined ? null : digest(payload.uid),
        clientId: payload.clientId ?? null,
        customerId: payload.accountId ?? null,
      };
    },

    decode(id: string | undefined, row: Row): AdapterPayload {
      const payload = JSON.parse(
        encryption.open(row.payload, context(row.idDigest)),
      ) as AdapterPayload;
      if (id !== undefined) payload.jti = id;
      if (row.consumedAt !== null) payload.consumed = Math.floor(row.consumedAt.getTime() / 1000);
      return payload;
    },
  };
}

function digest(id: string): Bytes {
  return new Uint8Array(sha256(id));
}
