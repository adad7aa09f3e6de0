import { currentRequest } from '../observability/request-context.ts';
import type { Clock } from '../clock.ts';
import type { Sql } from '../database/sql.ts';
import { Problem } from '../problem.ts';
import type { Encryption } from '../security/encryption.ts';
import { equalDigests, randomSecret, sha256 } from '../security/secrets.ts';
import { createConsentCodec } from './consent-codec.ts';
import type { Consent, ConsentCodec, OfferedAccount } from './consent-codec.ts';
import { createHistoryContents } from './history-content.ts';
import type { HistoryContent, HistoryContents } from './history-content.ts';
import { createConsentRows } from './consent-row-store.ts';
import type { Bytes, ConsentRow, ConsentRows, NotedRow } from './consent-row-store.ts';
import { consentIdFrom, consentMoves, endsAccess } from './consent.ts';
import type { ConsentMove, ConsentTerms, Regime } from './consent.ts';

/** Who does something with a consent. */
export interface ConsentActor {
  type: 'customer' | 'client' | 'resource-server' | 'operator' | 'system';
  id?: string | undefined;
}

/** A consent to be lodged. */
export interface NewConsent {
  clientId: string;
  regime: Regime;
  terms: ConsentTerms;
}

/** Under which key, and for which request, a consent is lodged at most once. */
export interface IdempotencyKey {
  endpoint: string;
  key: string;
  /** The request's body as it came. */
  request: string;
}

/** What a move says besides that it happens. */
export interface MoveFacts {
  by: ConsentActor;
  /** Only a consent of this client. */
  clientId?: string;
  /** Only a consent of this customer, or one that becomes theirs. */
  customerId?: string;
  /** Only while it has this version: what was decided about is what is there. */
  version?: number;
  accounts?: readonly OfferedAccount[];
  /** Another end. */
  expiresAt?: Date;
  authentication?: { acr?: string | undefined; amr: readonly string[]; at: Date | undefined };
  /** Language of the page that was answered, and what it said. */
  shown?: { locale: string; text: string };
  /** The client's registration at this time. */
  client?: Readonly<Record<string, unknown>> | undefined;
  reason?: string;
}

/** One step in the life of a consent. */
export interface HistoryEntry {
  version: number;
  at: Date;
  move: string;
  state: string;
  by: ConsentActor;
  address: string | undefined;
  requestId: string | undefined;
  shown: { locale: string; digest: string } | undefined;
  reason: string | undefined;
}

export interface ConsentStore {
  /** Lodges a consent, or gives the one that the key stands for. Problem('idempotency_mismatch'). */
  insert(consent: NewConsent, key?: IdempotencyKey): Promise<{ consent: Consent; isNew: boolean }>;
  /** The consent as it is now, whoever has noticed. */
  find(id: string): Promise<Consent | undefined>;
  /** The customer's consents, the last changed first. */
  listOf(customerId: string): Promise<Consent[]>;
  history(id: string): Promise<HistoryEntry[]>;
  /**
   * Moves a consent by one conditional statement, which writes the history and, where access ends, deletes the grant with
   * all codes and tokens. Problem('consent_state') when it is not in a state for that, Problem('consent_changed') when it has
   * another version, Problem('consent_not_found') when there is none, or none of this client or customer.
   */
  move(id: string, move: ConsentMove, facts: MoveFacts): Promise<Consent>;
  /** Moves what time has ended; at most `limit` of each kind. */
  moveDue(limit: number): Promise<Consent[]>;
}

interface Dependencies {
  sql: Sql;
  encryption: Encryption;
  clock: Clock;
}

/** The UK's and most others' term for idempotency keys. */
const keySeconds = 86_400;
const dashboardLimit = 500;

/** Keeps consents and their history. */
export function createConsentStore({ sql, encryption, clock }: Dependencies): ConsentStore {
  const ground: Ground = {
    rows: createConsentRows(sql),
    codec: createConsentCodec(encryption),
    contents: createHistoryContents(encryption),
    clock,
  };
  const { rows } = ground;
  const open = (row: ConsentRow) => ground.codec.open(row, clock.now());

  async function find(id: string): Promise<Consent | undefined> {
    const row = await rows.find(id);
    return row && open(row);
  }

  async function move(id: string, name: ConsentMove, facts: MoveFacts): Promise<Consent> {
    const moved = await rows.move(moveRow({ id, name, facts }, ground));
    if (moved === undefined) throw refusal(await find(id), name, facts);
    return open(moved);
  }

  return {
    find,
    move,
    insert: (consent, key) => insert({ consent, key }, { ...ground, find }),
    listOf: async (customerId) => (await rows.listOf(customerId, dashboardLimit)).map(open),

    async history(id) {
      return (await rows.history(id)).map((row) => ({
        ...{ version: row.version, at: row.at, move: row.move, state: row.state },
        by: { type: row.actorType as ConsentActor['type'], id: row.actorId ?? undefined },
        address: row.address ?? undefined,
        requestId: row.requestId ?? undefined,
        shown: shownIn(row),
        reason: row.reason ?? undefined,
      }));
    },

    async moveDue(limit) {
      const moved: Consent[] = [];
      for (const name of ['lapse', 'expire'] as const) {
        for (const id of await rows.due(name, clock.now(), limit)) {
          const facts = { by: { type: 'system' }, reason: 'time' } as const;
          const row = await rows.move(moveRow({ id, name, facts }, ground)); // another process may be first
          if (row !== undefined) moved.push(open(row));
        }
      }
      return moved;
    },
  };
}

interface Ground {
  rows: ConsentRows;
  codec: ConsentCodec;
  contents: HistoryContents;
  clock: Clock;
}

async function insert(
  { consent, key }: { consent: NewConsent; key: IdempotencyKey | undefined },
  { rows, codec, contents, clock, find }: Ground & Pick<ConsentStore, 'find'>,
): Promise<{ consent: Consent; isNew: boolean }> {
  const { clientId, regime, terms } = consent;
  const at = clock.now();
  const id = consentIdFrom(randomSecret(24));
  const row = {
    ...{ id, clientId, regime: regime.name, at, ...endOf(terms, regime, at) },
    ...codec.columns(id, terms),
    ...noted({ by: { type: 'client', id: clientId } }),
    content: contents.seal({ consentId: id, move: 'create', at }, { lodged: { ...terms } }),
  };
  const existing = async (): Promise<Consent> => {
    const found = await find(id);
    if (found === undefined) throw new Error(`the consent ${id} was not written`);
    return found;
  };
  if (key === undefined) {
    await rows.insert(row);
    return { consent: await existing(), isNew: true };
  }
  const keyRow = {
    ...{ endpoint: key.endpoint, key: key.key, requestDigest: bytes(sha256(key.request)) },
    expiresAt: new Date(at.getTime() + keySeconds * 1000),
  };
  if (await rows.insertOnce(row, keyRow)) return { consent: await existing(), isNew: true };
  const held = await rows.findKey(clientId, keyRow);
  const same = held !== undefined && equalDigests(held.requestDigest, keyRow.requestDigest);
  const first = same ? await find(held.consentId) : undefined;
  if (first === undefined) throw new Problem('idempotency_mismatch', { detail: key.endpoint });
  return { consent: first, isNew: false };
}

/** A payment that is not made within the time for the decision has to be asked for again. */
function endOf({ type, expiresAt }: ConsentTerms, { decisionSeconds }: Regime, at: Date) {
  const latest = new Date(at.getTime() + decisionSeconds * 1000);
  const decideBy = expiresAt !== undefined && expiresAt < latest ? expiresAt : latest;
  return { decideBy, expiresAt: expiresAt ?? (type === 'payment' ? latest : null) };
}

function moveRow(
  { id, name, facts }: { id: string; name: ConsentMove; facts: MoveFacts },
  { codec, contents, clock }: Ground,
) {
  const at = clock.now();
  return {
    ...{ id, move: name, ...consentMoves[name], at },
    isDue: name === 'lapse' || name === 'expire',
    ...conditionsOf(facts),
    ...changesOf(facts),
    accounts: facts.accounts === undefined ? null : codec.seal('accounts', id, facts.accounts),
    // As artifacts are found by it: the grant has the id of its consent.
    endedGrant: endsAccess(name) ? bytes(sha256(id)) : null,
    ...noted(facts),
    content: contents.seal({ consentId: id, move: name, at }, contentOf(facts)),
  };
}

function conditionsOf({ clientId, customerId, version }: MoveFacts) {
  return { clientId: clientId ?? null, customerId: customerId ?? null, version: version ?? null };
}

function changesOf({ expiresAt, authentication }: MoveFacts) {
  return {
    expiresAt: expiresAt ?? null,
    acr: authentication?.acr ?? null,
    amr: authentication?.amr ?? null,
    authenticatedAt: authentication?.at ?? null,
  };
}

function contentOf(facts: MoveFacts): HistoryContent {
  const { authentication, accounts, expiresAt, client, shown } = facts;
  const { acr, amr = [], at } = authentication ?? {};
  return {
    ...{ accounts, client, shown: shown?.text, expiresAt: expiresAt?.toISOString() },
    authentication: authentication && { acr, amr, authTime: at?.toISOString() },
  };
}

function noted({ by, shown, reason }: MoveFacts): Omit<NotedRow, 'content'> {
  const request = currentRequest();
  return {
    actorType: by.type,
    actorId: by.id ?? null,
    address: request?.address ?? null,
    requestId: request?.requestId ?? null,
    textLocale: shown?.locale ?? null,
    textDigest: shown === undefined ? null : bytes(sha256(shown.text)),
    reason: reason ?? null,
  };
}

function shownIn({
  textLocale: locale,
  textDigest,
}: Omit<NotedRow, 'content'>): HistoryEntry['shown'] {
  if (locale === null || textDigest === null) return undefined;
  return { locale, digest: Buffer.from(textDigest).toString('base64url') };
}

/** Why a move was not made. Whoever may not know of the consent is told that there is none. */
function refusal(found: Consent | undefined, move: ConsentMove, facts: MoveFacts): Problem {
  if (found === undefined || isForeign(found, facts)) {
    return new Problem('consent_not_found', {
      detail: found === undefined ? 'unknown' : 'foreign',
    });
  }
  const { state, version } = found;
  const { from } = consentMoves[move];
  return state === from && (facts.version ?? version) !== version
    ? new Problem('consent_changed', { detail: `it has version ${String(version)}` })
    : new Problem('consent_state', { detail: `${move} needs ${from}, the consent is ${state}` });
}

function isForeign(found: Consent, { clientId, customerId }: MoveFacts): boolean {
  const isOfOther = clientId !== undefined && found.clientId !== clientId;
  return isOfOther || (customerId !== undefined && (found.customerId ?? customerId) !== customerId);
}

function bytes(value: Uint8Array): Bytes {
  return new Uint8Array(value);
}
