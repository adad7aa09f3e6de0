import type { PrismaClient } from '../database/generated/client.ts';
import { Problem } from '../problem.ts';
import { masterKeyIdOf } from '../security/envelope.ts';
import type { EnvelopeEncryption } from '../security/envelope.ts';
import { publicJwkOf } from './key-material.ts';
import type { KeyMaterial } from './key-material.ts';
import type { PrivateJwk, PublicJwk, RingKey } from './key-ring.ts';
import type { KeptKey } from './signers/signer.ts';

/** A key of the ring with its private part, where it is sealed here and the key signs or is about to. */
export interface OpenedKey extends RingKey {
  privateJwk: PrivateJwk | undefined;
  /** Why the private part can't be had, in a sentence that names the key. */
  fault: string | undefined;
}

/** A key to be announced. */
export type NewKey = (KeyMaterial | KeptKey) & {
  origin: RingKey['origin'];
  createdAt: Date;
  activateAt?: Date | undefined;
};

/** When a move happens, and when the last token of what retires by it has expired. */
export interface MoveTimes {
  now: Date;
  destroyAt: Date;
}

/** The key ring in the database. Every move is one conditional statement, true when it was this call that moved. */
export interface KeyRingStore {
  /** Every key that there ever was, the newest first, without private parts. */
  list(): Promise<RingKey[]>;
  /** The keys that are published. One that can't be opened has a fault, and does not keep the others from being read. */
  open(): Promise<OpenedKey[]>;
  /** False when there is an announced key of that algorithm, or ever was a key with that kid. */
  announce(key: NewKey): Promise<boolean>;
  /** Keeps publishing a key that does not sign any more. False when there ever was one with that kid. */
  addRetired(key: NewKey, destroyAt: Date): Promise<boolean>;
  /**
   * Lets an announced key sign, and retires those of its algorithm that signed. With `despiteProcesses` also when a live
   * process does not publish it yet.
   */
  promote(kid: string, times: MoveTimes, despiteProcesses?: boolean): Promise<boolean>;
  /** Takes an announced or active key out of signing. */
  retire(kid: string, times: MoveTimes): Promise<boolean>;
  /** Ends a retired key whose time has come. */
  destroy(kid: string, now: Date): Promise<boolean>;
  /** Ends a key at once; `successor`, an announced key, signs from the same moment on. */
  revoke(kid: string, times: MoveTimes, successor: string | undefined): Promise<boolean>;
  /** Wraps data keys under the first master key, one row a statement; the kids that were wrapped anew. */
  rewrap(): Promise<string[]>;
}

type Row = Awaited<ReturnType<PrismaClient['signingKey']['findMany']>>[number];

interface Dependencies {
  prisma: Pick<PrismaClient, 'signingKey' | '$executeRaw' | '$queryRaw'>;
  envelope: EnvelopeEncryption;
}

/** How long a process counts as alive after its last sign of life. */
export const leaseSeconds = 15;

/** The key ring of `prisma`, its private keys sealed by `envelope`. */
export function createKeyRingStore({ prisma, envelope }: Dependencies): KeyRingStore {
  const add = (key: NewKey, columns: Pick<Row, 'stage'> & Partial<Row>) =>
    insert(prisma, { key, columns });

  return {
    async list() {
      const rows = await prisma.signingKey.findMany({
        orderBy: [{ createdAt: 'desc' }, { kid: 'asc' }],
      });
      return rows.map(ringKey);
    },

    async open() {
      const rows = await prisma.signingKey.findMany({
        where: { stage: { in: ['announced', 'active', 'retired'] } },
        orderBy: { kid: 'asc' },
      });
      return rows.map((row) => openedKey(row, envelope));
    },

    announce(key) {
      const content = 'reference' in key ? whereaboutsOf(key) : key.privateJwk;
      const { sealed, wrappedKey } = envelope.seal(JSON.stringify(content), contextOf(key));
      const sealedColumns = { sealedKey: sealed, wrappedDataKey: wrappedKey };
      return add(key, { stage: 'announced', announcedFor: key.algorithm, ...sealedColumns });
    },

    addRetired: (key, destroyAt) =>
      add(key, { stage: 'retired', retiredAt: key.createdAt, destroyAt }),

    ...moves(prisma),
    rewrap: () => rewrap({ prisma, envelope }),
  };
}

/** What binds a private key to its row. */
function contextOf({ kid, algorithm }: Pick<RingKey, 'kid' | 'algorithm'>): string {
  return `signing key ${kid} ${algorithm}`;
}

async function insert(
  prisma: Dependencies['prisma'],
  { key, columns }: { key: NewKey; columns: Pick<Row, 'stage'> & Partial<Row> },
): Promise<boolean> {
  const { kid, algorithm, origin, createdAt, activateAt } = key;
  const isKept = 'reference' in key;
  const publicJwk = isKept ? key.publicJwk : publicJwkOf(key.privateJwk);
  const kept = isKept ? { signer: key.signer, reference: key.reference } : {};
  const row = { kid, algorithm, origin, createdAt, activateAt: activateAt ?? null, ...kept };
  const { count } = await prisma.signingKey.createMany({
    data: [{ ...row, ...columns, publicJwk: publicJwk as Record<string, string> }],
    skipDuplicates: true,
  });
  return count === 1;
}

function moves(
  prisma: Dependencies['prisma'],
): Pick<KeyRingStore, 'promote' | 'retire' | 'destroy' | 'revoke'> {
  return {
    /**
     * A process that starts meanwhile says that it lives before it reads the ring: it is either waited for, or publishes
     * the key already. Its sign of life goes by the database's clock, so that machines' clocks may differ.
     */
    async promote(kid, { now, destroyAt }, despiteProcesses = false) {
      const rows = await prisma.$queryRaw<unknown[]>`
        WITH promoted AS (
          UPDATE signing_keys SET stage = 'active', activated_at = ${now}::timestamptz, announced_for = NULL
          WHERE kid = ${kid} AND stage = 'announced' AND (${despiteProcesses} OR NOT EXISTS (
            SELECT FROM key_ring_processes
            WHERE seen_at > now() - make_interval(secs => ${leaseSeconds}) AND NOT (${kid} = ANY (published))))
          RETURNING algorithm),
        retired AS (
          UPDATE signing_keys SET stage = 'retired', retired_at = ${now}::timestamptz,
            destroy_at = ${destroyAt}::timestamptz, sealed_key = NULL, wrapped_data_key = NULL
          FROM promoted WHERE signing_keys.algorithm = promoted.algorithm AND stage = 'active'
          RETURNING kid)
        SELECT algorithm FROM promoted`;
      return rows.length === 1;
    },

    async retire(kid, { now, destroyAt }) {
      const { count } = await prisma.signingKey.updateMany({
        where: { kid, stage: { in: ['announced', 'active'] } },
        data: { stage: 'retired', retiredAt: now, destroyAt, ...withoutPrivateKey },
      });
      return count === 1;
    },

    async destroy(kid, now) {
      const { count } = await prisma.signingKey.updateMany({
        where: { kid, stage: 'retired', destroyAt: { lte: now } },
        data: { stage: 'destroyed', endedAt: now },
      });
      return count === 1;
    },

    async revoke(kid, { now }, successor) {
      const rows = await prisma.$queryRaw<unknown[]>`
        WITH promoted AS (
          UPDATE signing_keys SET stage = 'active', activated_at = ${now}::timestamptz, announced_for = NULL
          WHERE kid = ${successor ?? null} AND stage = 'announced')
        UPDATE signing_keys SET stage = 'revoked', ended_at = ${now}::timestamptz, announced_for = NULL,
          sealed_key = NULL, wrapped_data_key = NULL
        WHERE kid = ${kid} AND stage IN ('announced', 'active', 'retired') RETURNING kid`;
      return rows.length === 1;
    },
  };
}

const withoutPrivateKey = { announcedFor: null, sealedKey: null, wrappedDataKey: null };

/** Every row by itself: what is interrupted goes on where it stopped, and the key ring works all the while. */
async function rewrap({ prisma, envelope }: Dependencies): Promise<string[]> {
  const rows = await prisma.signingKey.findMany({ where: { wrappedDataKey: { not: null } } });
  const wrapped: string[] = [];
  for (const row of rows) {
    const { kid, wrappedDataKey } = row;
    if (wrappedDataKey === null) continue;
    rejectUnknownMaster(kid, wrappedDataKey, envelope);
    const context = contextOf(ringKey(row));
    const anew = opened(kid, () => envelope.rewrap(wrappedDataKey, context));
    if (anew === undefined) continue;
    const { count } = await prisma.signingKey.updateMany({
      where: { kid, wrappedDataKey },
      data: { wrappedDataKey: anew },
    });
    if (count === 1) wrapped.push(kid);
  }
  return wrapped;
}

function openedKey(row: Row, envelope: EnvelopeEncryption): OpenedKey {
  try {
    return { ...ringKey(row), privateJwk: privateJwkOf(row, envelope), fault: undefined };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return { ...ringKey(row), privateJwk: undefined, fault: error.detail };
  }
}

function privateJwkOf(row: Row, envelope: EnvelopeEncryption): PrivateJwk | undefined {
  const { kid, sealedKey: sealed, wrappedDataKey: wrappedKey } = row;
  if (sealed === null || wrappedKey === null) return undefined;
  rejectUnknownMaster(kid, wrappedKey, envelope);
  const context = contextOf(ringKey(row));
  const content = opened(
    kid,
    () => JSON.parse(envelope.open({ sealed, wrappedKey }, context)) as PrivateJwk | Whereabouts,
  );
  const publicJwk = row.publicJwk as PublicJwk;
  if (isWhereabouts(content)) {
    const isSame = content.signer === row.signer && content.reference === row.reference;
    if (isSame && sameMembers(content.publicJwk, publicJwk)) return undefined;
  } else if (row.signer === 'sealed' && sameMembers(publicJwkOf(content), publicJwk)) {
    return content;
  }
  throw new Problem('signing_key_invalid', {
    detail: `the stored public key of ${kid} is not that of its private key: the row was changed`,
  });
}

/** Sealed in place of a private key that is kept elsewhere, so that nobody puts another key in its row. */
type Whereabouts = Pick<KeptKey, 'signer' | 'reference' | 'publicJwk'>;

function isWhereabouts(content: PrivateJwk | Whereabouts): content is Whereabouts {
  return !('d' in content);
}

function whereaboutsOf({ signer, reference, publicJwk }: KeptKey): Whereabouts {
  return { signer, reference, publicJwk };
}

/** JSONB does not keep the order of members. */
function sameMembers(a: PublicJwk, b: PublicJwk): boolean {
  const text = (jwk: PublicJwk) => JSON.stringify(Object.entries(jwk).sort());
  return text(a) === text(b);
}

function rejectUnknownMaster(
  kid: string,
  wrappedKey: Uint8Array,
  envelope: EnvelopeEncryption,
): void {
  if (envelope.knows(wrappedKey)) return;
  const found = envelope.masterKeyIds.join(', ');
  throw new Problem('signing_key_invalid', {
    detail: `${kid} is sealed under the master key ${masterKeyIdOf(wrappedKey)}, and COUNTERSIGN_MASTER_KEYS has only ${found}`,
  });
}

function opened<T>(kid: string, open: () => T): T {
  try {
    return open();
  } catch (cause) {
    const detail = `the stored private key of ${kid} can't be opened: the row was changed or is damaged`;
    throw new Problem('signing_key_invalid', { detail, cause });
  }
}

function ringKey(row: Row): RingKey {
  const moment = (date: Date | null) => date ?? undefined;
  return {
    kid: row.kid,
    // Written by this store alone.
    algorithm: row.algorithm as RingKey['algorithm'],
    stage: row.stage as RingKey['stage'],
    origin: row.origin as RingKey['origin'],
    publicJwk: row.publicJwk as PublicJwk,
    signer: row.signer as RingKey['signer'],
    reference: row.reference ?? undefined,
    createdAt: row.createdAt,
    activateAt: moment(row.activateAt),
    activatedAt: moment(row.activatedAt),
    retiredAt: moment(row.retiredAt),
    destroyAt: moment(row.destroyAt),
    endedAt: moment(row.endedAt),
  };
}
