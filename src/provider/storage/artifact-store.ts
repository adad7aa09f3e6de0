import Provider, { errors } from 'oidc-provider';
import type { Adapter, AdapterPayload, KoaContextWithOIDC } from 'oidc-provider';
import type { Clock } from '../../clock.ts';
import { secondsFromNow } from '../../clock.ts';
import { createRequestMemory } from '../../database/request-memory.ts';
import type { RequestMemory } from '../../database/request-memory.ts';
import type { Sql } from '../../database/sql.ts';
import type { Encryption } from '../../security/encryption.ts';
import { createArtifactCodec, digestOfId } from './artifact-codec.ts';
import type { ArtifactCodec, Bytes, OpenedArtifact } from './artifact-codec.ts';
import { createArtifactRows } from './artifact-row-store.ts';
import type {
  ArtifactKey,
  ArtifactRows,
  FoundArtifactRow,
  NewArtifactRow,
} from './artifact-row-store.ts';
import { createKnownSessions } from '../pages/known-sessions.ts';
import type { KnownSessions } from '../pages/known-sessions.ts';
import { createPushedRequests } from '../requests/pushed-requests.ts';
import type { PushedRequests } from '../requests/pushed-requests.ts';
import {
  isOwnRetry,
  isSubstitute,
  noteReuse,
  storesRefreshToken,
} from '../tokens/refresh-retries.ts';
import type { ReplayListener, RetryPolicy } from '../tokens/refresh-retries.ts';

/** What the store needs besides the database. */
export interface ArtifactStoreDependencies {
  sql: Sql;
  encryption: Encryption;
  clock: Clock;
  /** Told when a single-use artifact is presented again; everything issued from its grant is gone by then. */
  onReplay: ReplayListener;
  /** Whose second refresh at the same time is no replay. */
  retries: RetryPolicy;
}

/** What the engine asks for, and one thing more. */
export interface ArtifactAdapter extends Adapter {
  /** As `upsert`, for what has been there; false where it has ended meanwhile and stays so. */
  update: (id: string, payload: AdapterPayload, expiresIn: number) => Promise<boolean>;
}

/** What oidc-provider keeps, under digests of the ids and with encrypted payloads. */
export interface ArtifactStore {
  adapterFor(kind: string): ArtifactAdapter;
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
  /** The grant of a JWT access token, if it stands and the token's `jti` was not revoked; both in one statement. */
  findGrantOf(token: { grantId: string; jti: string }): Promise<AdapterPayload | undefined>;
}

/** Kinds that are written once: a plain insert is cheaper and can't overwrite. */
const writtenOnce = new Set([
  'AuthorizationCode',
  'RefreshToken',
  'AccessToken',
  'ClientCredentials',
  'PushedAuthorizationRequest',
]);

/**
 * How long rows outlive what is in them, in seconds. A request that was opened in its time may be allowed an hour later, the
 * longest that an interaction takes: until then it must be known whether it was used.
 */
const keptLonger: Partial<Record<string, number>> = { PushedAuthorizationRequest: 3600 };

/** What is read several times within a request and decides nothing about a single use. */
const recalledKinds = new Set(['Session', 'Interaction', 'Grant']);

/** The storage of oidc-provider's models except clients. */
export function createArtifactStore(dependencies: ArtifactStoreDependencies): ArtifactStore {
  const { clock } = dependencies;
  const memory = createRequestMemory<OpenedArtifact | undefined>();
  const rows = createArtifactRows(dependencies.sql, () => {
    memory.forget();
  });
  const own = {
    uses: createPendingUses(),
    requests: createPushedRequests(rows),
    sessions: createKnownSessions(),
  };
  const ground: Ground = { ...dependencies, rows, memory, ...own };

  return {
    adapterFor: (kind) => createAdapter(kind, ground),
    claimInteraction: (uid) => rows.useUp(keyOf('Interaction', uid), clock.now()),

    async releaseInteraction(uid) {
      await rows.release(keyOf('Interaction', uid));
    },

    async destroyGrant(grantId) {
      await rows.deleteGrant(digestOfId(grantId));
    },

    rememberAnswer: (refreshToken, answer) =>
      rows.keepAnswer(keyOf('RefreshToken', refreshToken), answer),
    findAnswer: (refreshToken) => rows.findAnswer(keyOf('RefreshToken', refreshToken)),

    async findGrantOf({ grantId, jti }) {
      const digests = { grantDigest: digestOfId(grantId), jtiDigest: digestOfId(jti) };
      const codec = createArtifactCodec('Grant', dependencies.encryption);
      const row = await rows.findGrantOf(digests);
      if (row === undefined) return undefined;
      const opened = codec.open(row);
      await memory.recall(`Grant ${grantId}`, () => Promise.resolve(opened)); // the engine asks for it next
      return codec.parse(grantId, opened);
    },
  };
}

/** What adapters of all kinds share. */
interface Ground extends Omit<ArtifactStoreDependencies, 'sql'> {
  rows: ArtifactRows;
  memory: RequestMemory<OpenedArtifact | undefined>;
  uses: PendingUses;
  requests: PushedRequests;
  sessions: KnownSessions;
}

function keyOf(kind: string, id: string): ArtifactKey {
  return { kind, idDigest: digestOfId(id) };
}

/** A single-use artifact that the request's next insert is to use up. */
interface PendingUse extends ArtifactKey {
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
      if (ctx === undefined || !isFollowedByInsert(ctx, use.kind)) return false;
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

/** A pushed request is used up for the code that answers it: no other response type is offered. */
function isFollowedByInsert(ctx: KoaContextWithOIDC, kind: string): boolean {
  return kind === 'PushedAuthorizationRequest' || storesRefreshToken(ctx, kind);
}

type PendingUses = ReturnType<typeof createPendingUses>;

/** What a token of unknown kind may be. */
const tokenKinds = new Set(['AccessToken', 'ClientCredentials', 'RefreshToken']);

/** Where the engine asks for one kind of token after the other. */
function isOfUnknownKind(kind: string): boolean {
  const route = Provider.ctx?.oidc.route;
  return (route === 'introspection' || route === 'revocation') && tokenKinds.has(kind);
}

/** Kinds that are presented for something that their grant must stand for: it is read along. */
const readWithGrant = new Set(['AuthorizationCode', 'RefreshToken']);

function createReader(kind: string, ground: Ground) {
  const { rows, memory, encryption, requests } = ground;
  const codec = createArtifactCodec(kind, encryption);
  const grants = createArtifactCodec('Grant', encryption);

  /** The engine asks for the grant next; unless it does, it stays sealed. */
  function keepGrant(opened: OpenedArtifact, grant: FoundArtifactRow | undefined): OpenedArtifact {
    const { grantId } = JSON.parse(opened.text) as { grantId?: string };
    if (grantId !== undefined) {
      void memory.recall(`Grant ${grantId}`, () => Promise.resolve(grant && grants.open(grant)));
    }
    return opened;
  }

  async function read(id: string): Promise<OpenedArtifact | undefined> {
    const key = keyOf(kind, id);
    if (readWithGrant.has(kind)) {
      const row = await rows.findWithGrant(key);
      return row && keepGrant(codec.open(row), row.grant);
    }
    const row = kind === 'Session' ? await requests.findSession(key) : await rows.find(key);
    return row && codec.open(row);
  }

  async function readToken(id: string): Promise<OpenedArtifact | undefined> {
    const row = await rows.findToken(digestOfId(id));
    return row && keepGrant(createArtifactCodec(row.kind, encryption).open(row), row.grant);
  }

  return async (id: string): Promise<OpenedArtifact | undefined> => {
    if (kind === 'PushedAuthorizationRequest') {
      const row = requests.take(id);
      if (row !== undefined) return codec.open(row);
    }
    if (!isOfUnknownKind(kind)) {
      return recalledKinds.has(kind) ? memory.recall(`${kind} ${id}`, () => read(id)) : read(id);
    }
    const found = await memory.recall(`token ${id}`, () => readToken(id));
    return found?.kind === kind ? found : undefined;
  };
}

function createAdapter(kind: string, ground: Ground): ArtifactAdapter {
  const { rows, uses, sessions, clock, encryption } = ground;
  const codec = createArtifactCodec(kind, encryption);
  const singleUse = createSingleUse(ground);
  const read = createReader(kind, ground);

  return {
    async upsert(id, payload, expiresIn) {
      if (kind === 'Session' && !sessions.isNews(id, payload)) return;
      const row = newRow(kind, { id, payload, expiresIn }, { codec, clock });
      const use = writtenOnce.has(kind) ? uses.take() : undefined;
      if (use !== undefined) await singleUse.useUpAndInsert(use, row);
      else if (writtenOnce.has(kind)) await rows.insert(row);
      else await rows.put(row);
      if (kind === 'Session') sessions.note(id, payload);
    },

    update: (id, payload, expiresIn) =>
      rows.replace(newRow(kind, { id, payload, expiresIn }, { codec, clock })),

    async find(id) {
      const opened = await read(id);
      if (opened === undefined) return undefined;
      const payload = codec.parse(id, opened);
      if (kind === 'Session') sessions.note(id, payload);
      return kind === 'RefreshToken'
        ? noteReuse(payload, opened, { clock, ctx: Provider.ctx })
        : payload;
    },

    async findByUid(uid) {
      const row = await rows.findByUid(kind, digestOfId(uid));
      return row && codec.parse(undefined, codec.open(row));
    },

    // Device codes are not offered yet.
    findByUserCode: () => Promise.resolve(undefined),

    async consume(id) {
      const use = keyOf(kind, id);
      if (!uses.defer(use)) await singleUse.useUp(use);
    },

    async destroy(id) {
      const key = keyOf(kind, id);
      if (kind === 'Session') sessions.forget();
      // A crash between the token and the rest would leave access tokens that no retry of the revocation finds.
      if (kind === 'RefreshToken') await rows.deleteFamily(key);
      const count = await rows.delete(key);
      if (kind === 'Interaction' && count === 0) {
        throw new errors.SessionNotFound('the interaction was already completed');
      }
    },

    // oidc-provider asks for one kind after the other, and for the grant; a crash in between must not leave a part.
    async revokeByGrantId(grantId) {
      if (!isAccessTokenRevocation()) await rows.deleteGrant(digestOfId(grantId));
    },
  };
}

/** RFC 7009 §2.1 leaves it to us: who revokes an access token does not lose the refresh token. */
function isAccessTokenRevocation(): boolean {
  const oidc = Provider.ctx?.oidc;
  return oidc?.route === 'revocation' && oidc.entities.AccessToken !== undefined;
}

function newRow(
  kind: string,
  artifact: { id: string; payload: AdapterPayload; expiresIn: number | undefined },
  { codec, clock }: { codec: ArtifactCodec; clock: Clock },
): NewArtifactRow {
  const { id, payload, expiresIn } = artifact;
  return {
    ...keyOf(kind, id),
    ...codec.columns(id, payload),
    expiresAt:
      expiresIn === undefined ? null : secondsFromNow(clock, expiresIn + (keptLonger[kind] ?? 0)),
  };
}

/** Uses an artifact up by one conditional statement; whoever comes second has it against them. */
function createSingleUse({ rows, clock, onReplay, retries }: Ground) {
  /** Used twice at once, which RFC 9700 §4.13 treats as a replay: nothing issued from it may live. */
  async function lostRace(use: PendingUse): Promise<never> {
    const { kind } = use;
    if (!isOwnRetry(Provider.ctx, kind, retries)) {
      await rows.deleteFamily(use);
      onReplay(kind, Provider.ctx?.oidc.client?.clientId);
    }
    if (kind === 'PushedAuthorizationRequest') {
      throw new errors.InvalidRequestUri('request_uri was already used');
    }
    throw new errors.InvalidGrant(`${kind} was already used`);
  }

  return {
    async useUp(use: PendingUse): Promise<void> {
      if (!(await rows.useUp(use, clock.now()))) await lostRace(use);
    },

    async useUpAndInsert(use: PendingUse, row: NewArtifactRow): Promise<void> {
      if (!(await rows.useUpAndInsert(use, row, clock.now()))) await lostRace(use);
    },
  };
}
