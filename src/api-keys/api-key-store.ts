import { randomBytes, randomUUID } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { Prisma } from '../database/generated/client.ts';
import type { PrismaClient } from '../database/generated/client.ts';
import type { Sql } from '../database/sql.ts';
import { Problem } from '../problem.ts';
import { equalDigests, keyedDigest, sha256 } from '../security/secrets.ts';
import { asKey, columns, createKeyRows } from './api-key-row-store.ts';
import type { Bytes, KeyRow, KeyRows, ListedRow } from './api-key-row-store.ts';
import type { ApiKey, KeyOwner, KeyTerms, Permissions } from './api-key.ts';
import { keyFrom, prefixOf } from './key-format.ts';
import type { KeyMode } from './key-format.ts';

/** A key with what was made of it. */
export interface ListedKey extends ApiKey {
  lastUsedAt: Date | undefined;
}

/** A new key; `secret` is the key itself, which is told once and not kept. */
export interface MadeKey {
  key: ApiKey;
  secret: string;
}

/** Who acts: "client <id>" or "operator <name>", and the only client whose keys they reach. */
export interface KeyActor {
  name: string;
  clientId: string | undefined;
}

export interface NewKey {
  owner: KeyOwner;
  terms: KeyTerms;
  by: KeyActor;
  /** Active keys that a client may have. */
  maxActive: number;
  /** Of clients: the same key with the same request makes no second one. */
  idempotency: { key: string; request: string } | undefined;
}

export interface Successor {
  expiresAt: Date;
  /** When the predecessor ends, if it does not end before. */
  overlapEnd: Date;
  permissions: Permissions;
}

export interface ApiKeyStore {
  /**
   * A new key; without its secret where the idempotency key had made it before. Problem('api_key_limit') when the client
   * has too many, Problem('idempotency_mismatch').
   */
  insert(draft: NewKey): Promise<MadeKey | { key: ApiKey; secret: undefined }>;
  find(id: string, clientId?: string): Promise<ListedKey | undefined>;
  /** The newest first. */
  list(page: KeyPage): Promise<ListedKey[]>;
  /**
   * Of parallel rotations one is done, and of a key and all that it came from two are active at most. Problem('api_key_state')
   * for others; Problem('api_key_not_found').
   */
  rotate(id: string, successor: Successor, by: KeyActor): Promise<MadeKey>;
  /** Whether it was this call that did it. Problem('api_key_not_found'). */
  revoke(id: string, by: KeyActor): Promise<{ key: ApiKey; isNew: boolean }>;
  /** Keys that end within `seconds` and were not told of before; each is given once. */
  takeEnding(seconds: number, limit: number): Promise<ApiKey[]>;
}

export interface KeyPage {
  /** One client's; the bank's own for "operator"; all without. */
  owner: KeyOwner | undefined;
  /** The key that the last page ended with. */
  after: string | undefined;
  limit: number;
}

interface Dependencies {
  sql: Sql;
  prisma: Pick<PrismaClient, '$executeRaw' | '$queryRaw' | '$transaction'>;
  digestKey: Buffer;
  mode: KeyMode;
  clock: Clock;
}

/** Keeps keys, as keyed digests: they are random, so a slow hash adds nothing. */
export function createApiKeyStore(deps: Dependencies): ApiKeyStore {
  const { clock } = deps;
  const rows = createKeyRows(deps.sql);

  async function find(id: string, clientId?: string): Promise<ListedKey | undefined> {
    const row = isId(id) ? await rows.find(id) : undefined;
    if (row === undefined || (clientId !== undefined && row.clientId !== clientId))
      return undefined;
    return asListed(row);
  }

  async function required(id: string, { clientId }: KeyActor): Promise<ListedKey> {
    const found = await find(id, clientId);
    if (found === undefined) throw new Problem('api_key_not_found', { detail: id });
    return found;
  }

  return {
    find,
    insert: (draft) => insert(draft, deps),

    async list({ owner, after, limit }) {
      const clientId = owner?.type === 'client' ? owner.id : null;
      const page = { ofOperator: owner?.type === 'operator', after: after ?? null, limit };
      return (await rows.list(clientId, page)).map(asListed);
    },

    rotate: async (id, successor, by) => {
      await required(id, by);
      return rotate({ id, successor, by }, { ...deps, rows });
    },

    async revoke(id, by) {
      await required(id, by);
      const at = { at: clock.now(), actor: by.name, clientId: by.clientId ?? null };
      const revoked = await rows.revoke(id, at);
      if (revoked !== undefined) return { key: asKey(revoked), isNew: true };
      return { key: await required(id, by), isNew: false };
    },

    async takeEnding(seconds, limit) {
      const now = clock.now();
      const before = new Date(now.getTime() + seconds * 1000);
      return (await rows.warn(now, before, limit)).map(asKey);
    },
  };
}

/** How a key is found. */
export function digestOf(digestKey: Buffer, secret: string): Bytes {
  return new Uint8Array(keyedDigest(digestKey, 'api-key', secret));
}

const uuid = /^[\da-f]{8}-(?:[\da-f]{4}-){3}[\da-f]{12}$/;

/** Postgres refuses U+0000 in a text, and long ones need not be looked up. */
function isId(text: string): boolean {
  return uuid.test(text);
}

function asListed({ lastUsedAt, ...row }: ListedRow): ListedKey {
  return { ...asKey(row), lastUsedAt: lastUsedAt ?? undefined };
}

/** The random parts of a new row. */
function newIdentity({ digestKey, mode }: Pick<Dependencies, 'digestKey' | 'mode'>) {
  const secret = keyFrom(mode, randomBytes(32));
  return {
    secret,
    row: { id: randomUUID(), digest: digestOf(digestKey, secret), prefix: prefixOf(secret) },
  };
}

async function rotate(
  { id, successor, by }: { id: string; successor: Successor; by: KeyActor },
  { rows, clock, ...deps }: Dependencies & { rows: KeyRows },
): Promise<MadeKey> {
  const { secret, row } = newIdentity(deps);
  const clientId = by.clientId ?? null;
  const times = { ...successor, at: clock.now(), createdBy: by.name };
  const made = await rows.rotate({ predecessorId: id, clientId, ...row, ...times });
  if (made !== undefined) return { key: asKey(made), secret };
  throw new Problem('api_key_state', {
    detail: `${id} was rotated before, has ended, or follows one that still works`,
  });
}

async function insert(draft: NewKey, deps: Dependencies): ReturnType<ApiKeyStore['insert']> {
  const { owner, idempotency } = draft;
  const clientId = owner.type === 'client' ? owner.id : null;
  const requestDigest =
    idempotency === undefined ? null : new Uint8Array(sha256(idempotency.request));
  const { secret, row } = newIdentity(deps);
  const [made] = await insertRow({ draft, row, requestDigest }, deps);
  if (made !== undefined) return { key: asKey(made), secret };
  const [held] =
    idempotency === undefined
      ? []
      : await deps.prisma.$queryRaw<(KeyRow & { requestDigest: Uint8Array })[]>`
          SELECT ${Prisma.raw(columns)}, request_digest AS "requestDigest" FROM api_keys
          WHERE client_id = ${clientId} AND idempotency_key = ${idempotency.key}`;
  if (held === undefined || requestDigest === null) {
    throw new Problem('api_key_limit', { detail: `${String(draft.maxActive)} keys are active` });
  }
  if (!equalDigests(held.requestDigest, requestDigest)) {
    throw new Problem('idempotency_mismatch', { detail: 'api-keys' });
  }
  return { key: asKey(held), secret: undefined };
}

interface InsertedRow {
  draft: NewKey;
  row: { id: string; digest: Bytes; prefix: string };
  requestDigest: Bytes | null;
}

/** Counts and inserts under a lock on the client, so that parallel requests don't pass its limit together. */
async function insertRow(
  { draft, row, requestDigest }: InsertedRow,
  { prisma, clock }: Dependencies,
): Promise<KeyRow[]> {
  const { owner, terms, by, maxActive, idempotency } = draft;
  const clientId = owner.type === 'client' ? owner.id : null;
  const now = clock.now();
  const { name, permissions, addresses, limit, expiresAt } = terms;
  const [, made] = await prisma.$transaction([
    prisma.$executeRaw`SELECT 1 FROM clients WHERE id = ${clientId} FOR NO KEY UPDATE`,
    prisma.$queryRaw<KeyRow[]>`
      INSERT INTO api_keys (id, digest, prefix, name, client_id, created_by, permissions, addresses, limit_requests,
        limit_seconds, created_at, expires_at, idempotency_key, request_digest)
      SELECT ${row.id}, ${row.digest}, ${row.prefix}, ${name}, ${clientId}, ${by.name},
        ${JSON.stringify(permissions)}::jsonb, ${[...addresses]}::text[], ${limit?.requests ?? null}::int,
        ${limit?.seconds ?? null}::int, ${now}::timestamptz, ${expiresAt}::timestamptz,
        ${idempotency?.key ?? null}::text, ${requestDigest}::bytea
      WHERE ${clientId}::text IS NULL OR EXISTS (SELECT 1 FROM clients WHERE id = ${clientId}) AND ${maxActive} > (
        SELECT count(*) FROM api_keys
        WHERE client_id = ${clientId} AND revoked_at IS NULL AND expires_at > ${now}::timestamptz)
      ON CONFLICT (client_id, idempotency_key) DO NOTHING
      RETURNING ${Prisma.raw(columns)}`,
  ]);
  return made;
}
