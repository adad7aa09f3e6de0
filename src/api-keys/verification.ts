import { setTimeout as wait } from 'node:timers/promises';
import type { Clock } from '../clock.ts';
import { createReminder } from '../observability/reminder.ts';
import { endsSoon, stateOf } from './api-key.ts';
import type { ApiKey, KeyLimit, KeyOwner } from './api-key.ts';
import type { Admission, AdmitUse, Recorder } from './api-key-ports.ts';
import type { Holdings } from './holdings.ts';
import { isWellFormed } from './key-format.ts';
import type { KeyMode } from './key-format.ts';
import type { KeyMemory, RememberedKey } from './key-memory-store.ts';
import type { UsageCounter } from './usage-counter.ts';

/** A key that somebody showed to a resource server. */
export interface ShownKey {
  /** As it came; anything. */
  key: string;
  /** Where it came from; a key with a list of addresses is refused without. */
  address: string | undefined;
  /** The identifier of the resource server. */
  resourceServer: string;
}

/** What a good key allows at the resource server at this moment. */
export interface GoodKey {
  id: string;
  name: string;
  owner: KeyOwner;
  /** At least one; those at this resource server only. */
  scopes: readonly string[];
  expiresAt: Date;
  /** Whether its end is near; `successorId` where it was rotated. */
  endsSoon: boolean;
  successorId: string | undefined;
  /** The key's own limit and what is left of it. */
  limit: LimitNow | undefined;
}

export interface LimitNow extends KeyLimit {
  remaining: number;
  /** Seconds until there are more. */
  resetSeconds: number;
}

/**
 * "refused" is the same for unknown, malformed, expired and revoked keys, wrong addresses and keys without anything at this
 * resource server: log and audit trail have the reason. "limited" is a good key that was used too often.
 */
export type KeyVerdict =
  | { outcome: 'accepted'; key: GoodKey }
  | { outcome: 'limited'; key: GoodKey }
  | { outcome: 'refused' };

/** Judges a key, counts its use, and records why it is refused. */
export type VerifyKey = (shown: ShownKey) => Promise<KeyVerdict>;

/** Why a key is refused; a label of metrics. */
export type KeyRefusal =
  'malformed' | 'unknown' | 'expired' | 'revoked' | 'foreign' | 'address' | 'limited';

interface Dependencies {
  mode: KeyMode;
  memory: KeyMemory;
  holdings: Pick<Holdings, 'at'>;
  admit: AdmitUse;
  usage: Pick<UsageCounter, 'count'>;
  audit: Recorder;
  clock: Clock;
  /** Seconds before its end in which a key is told to end soon. */
  warningSeconds: number;
  onOutcome: (outcome: 'accepted' | KeyRefusal) => void;
}

/**
 * A refusal takes this long, whatever was found out: whether a key was looked up, remembered or turned away for its
 * checksum can't be told from the time. Longer than a look-up takes, and nothing to a caller with a wrong key.
 */
const refusalMs = 25;

/** A key that is used too often is told of this often: its caller could fill the audit trail otherwise. */
const limitedMs = 60_000;

type Judged =
  | { refusal: KeyRefusal; key: ApiKey | undefined }
  | { refusal: undefined; key: ApiKey; scopes: readonly string[] };

/** What verifies keys; a key that is remembered needs no database. */
export function createVerification(deps: Dependencies): VerifyKey {
  const { mode, memory, holdings, clock } = deps;
  const isNews = createReminder(clock);

  async function judge(shown: ShownKey): Promise<Judged> {
    if (!isWellFormed(shown.key, mode)) {
      memory.spend(shown.key);
      return { refusal: 'malformed', key: undefined };
    }
    const found = await memory.find(shown.key);
    if (found === undefined) return { refusal: 'unknown', key: undefined };
    const { key } = found;
    const refusal = standingOf(found, shown, clock.now());
    if (refusal !== undefined) return { refusal, key };
    const scopes = await scopesOf(key, shown.resourceServer, holdings);
    return scopes.length === 0 ? { refusal: 'foreign', key } : { refusal: undefined, key, scopes };
  }

  return async function verify(shown) {
    const startedAt = performance.now();
    const judged = await judge(shown);
    if (judged.refusal !== undefined) {
      tally(shown, judged, deps);
      record(shown, judged, deps);
      await wait(Math.max(0, refusalMs - (performance.now() - startedAt)));
      return { outcome: 'refused' };
    }
    const { key, scopes } = judged;
    const admission = key.limit && (await deps.admit(key.id, key.limit));
    const good = goodKey(key, scopes, { admission, ...deps });
    if (admission?.allowed === false) {
      const refused = { key, refusal: 'limited' } as const;
      tally(shown, refused, deps);
      if (isNews(key.id, limitedMs)) record(shown, refused, deps);
      return { outcome: 'limited', key: good };
    }
    deps.onOutcome('accepted');
    count({ shown, key, outcome: 'accepted' }, deps);
    return { outcome: 'accepted', key: good };
  };
}

/** Why a key that exists is not good, whoever asks. */
function standingOf(
  { key, admits }: RememberedKey,
  { address }: ShownKey,
  now: Date,
): KeyRefusal | undefined {
  const state = stateOf(key, now);
  if (state !== 'active') return state;
  return admits(address) ? undefined : 'address';
}

/** What of the key's scopes at the resource server its owner still holds. */
async function scopesOf(
  { permissions, owner }: ApiKey,
  resourceServer: string,
  holdings: Pick<Holdings, 'at'>,
): Promise<readonly string[]> {
  const named = Object.hasOwn(permissions, resourceServer)
    ? permissions[resourceServer]
    : undefined;
  if (named === undefined) return [];
  const held = await holdings.at(owner, resourceServer);
  return named.filter((scope) => held.includes(scope));
}

function goodKey(
  key: ApiKey,
  scopes: readonly string[],
  { admission, clock, warningSeconds }: { admission: Admission | undefined } & Dependencies,
): GoodKey {
  const { id, name, owner, expiresAt, successorId, limit } = key;
  return {
    ...{ id, name, owner, scopes, expiresAt, successorId },
    endsSoon: endsSoon(key, clock.now(), warningSeconds),
    limit: limit && admission && limitNow(limit, admission),
  };
}

function limitNow(limit: KeyLimit, { remaining, resetSeconds }: Admission): LimitNow {
  return { ...limit, remaining, resetSeconds };
}

interface RefusedKey {
  key: ApiKey | undefined;
  refusal: KeyRefusal;
}

function tally(shown: ShownKey, { key, refusal }: RefusedKey, deps: Dependencies): void {
  deps.onOutcome(refusal);
  if (key !== undefined) count({ shown, key, outcome: 'refused' }, deps);
}

function record(
  shown: ShownKey,
  { key, refusal }: RefusedKey,
  { audit }: Pick<Dependencies, 'audit'>,
): void {
  audit.record({
    ...{ type: 'api_key.refused', outcome: 'refused' },
    actor: key?.owner.type === 'client' ? { type: 'client', id: key.owner.id } : { type: 'client' },
    ...(key?.owner.type === 'client' ? { clientId: key.owner.id } : {}),
    detail: {
      reason: refusal,
      key: key?.id,
      resourceServer: shown.resourceServer,
      from: shown.address,
    },
  });
}

function count(
  { shown, key, outcome }: { shown: ShownKey; key: ApiKey; outcome: 'accepted' | 'refused' },
  { usage, clock }: Pick<Dependencies, 'usage' | 'clock'>,
): void {
  const { resourceServer } = shown;
  usage.count({ keyId: key.id, resourceServer, outcome, at: clock.now() });
}
