import type { Clock } from '../clock.ts';
import { Problem } from '../problem.ts';
import { faultsOf, remainingOf, successorEnd } from './api-key.ts';
import type { ApiKey, KeyOwner, KeyTerms, TermsFault } from './api-key.ts';
import type { ApiKeyStore, KeyActor, MadeKey, NewKey } from './api-key-store.ts';
import type { Recorder } from './api-key-ports.ts';
import type { Holdings } from './holdings.ts';

/** How keys may be made. */
export interface KeyRules {
  /** How long a key may live. */
  maxSeconds: number;
  /** Active keys that a client may have. */
  maxPerClient: number;
}

/** What a rotation asks for. */
export interface RotationRequest {
  /** Seconds for which both keys work. */
  overlapSeconds: number;
  /** Of the successor; as long as its predecessor's life without. */
  expiresAt: Date | undefined;
}

/** What a new key is to be. */
export interface CreationRequest {
  owner: KeyOwner;
  terms: KeyTerms;
  idempotency: NewKey['idempotency'];
}

/** What owners and operators do with keys. */
export interface Issuing {
  /** Faults where what is asked for is not acceptable; `secret` is undefined where the idempotency key had made it before. */
  create(
    asked: CreationRequest,
    by: Actor,
  ): Promise<Faulty | { key: ApiKey; secret: string | undefined }>;
  /**
   * A successor with what of the predecessor's scopes the owner still holds. Problem('api_key_not_found'),
   * Problem('api_key_state') for a key that has ended or has a successor, and for an overlap while one that it came from
   * still works.
   */
  rotate(id: string, request: RotationRequest, by: Actor): Promise<Faulty | MadeKey>;
  /** Ends a key at once, on every process within a second; once more changes nothing. Problem('api_key_not_found'). */
  revoke(id: string, by: Actor): Promise<ApiKey>;
}

/** Who acts: a client with its own keys, or an operator with all. */
export type Actor = { type: 'client'; id: string } | { type: 'operator'; id: string };

/** What is wrong with a request. */
export interface Faulty {
  faults: readonly TermsFault[];
}

interface Dependencies {
  keys: ApiKeyStore;
  holdings: Pick<Holdings, 'of'>;
  rules: KeyRules;
  clock: Clock;
  audit: Recorder;
}

/** Makes, rotates and ends keys, and records it. */
export function createIssuing({ keys, holdings, rules, clock, audit }: Dependencies): Issuing {
  function record(
    type: 'api_key.created' | 'api_key.rotated' | 'api_key.revoked',
    by: Actor,
    { predecessor, ...key }: ApiKey & { predecessor?: string },
  ) {
    const { id, name, prefix, owner, permissions, expiresAt } = key;
    audit.record({
      ...{ type, outcome: 'success', actor: by },
      ...(owner.type === 'client' ? { clientId: owner.id } : {}),
      detail: {
        ...{ key: id, name, prefix, permissions, expiresAt: expiresAt.toISOString() },
        ...(predecessor === undefined ? {} : { predecessor }),
      },
    });
  }

  return {
    async create({ owner, terms, idempotency }, by) {
      const { maxSeconds, maxPerClient: maxActive } = rules;
      const held = await holdings.of(owner);
      const faults = faultsOf(terms, { now: clock.now(), held, maxSeconds });
      if (faults.length > 0) return { faults };
      const made = await keys.insert({ owner, terms, by: nameOf(by), maxActive, idempotency });
      if (made.secret !== undefined) record('api_key.created', by, made.key);
      return made;
    },

    async rotate(id, { overlapSeconds, expiresAt }, by) {
      const old = await keys.find(id, nameOf(by).clientId);
      if (old === undefined) throw new Problem('api_key_not_found', { detail: id });
      const now = clock.now();
      const held = await holdings.of(old.owner);
      const permissions = remainingOf(old.permissions, held);
      const { maxSeconds } = rules;
      const successor = {
        permissions,
        expiresAt: expiresAt ?? successorEnd(old, { now, maxSeconds }),
        overlapEnd: new Date(now.getTime() + overlapSeconds * 1000),
      };
      const faults = faultsOf({ ...old, ...successor }, { now, held, maxSeconds });
      if (faults.length > 0) return { faults };
      const made = await keys.rotate(id, successor, nameOf(by));
      record('api_key.rotated', by, { ...made.key, predecessor: id });
      return made;
    },

    async revoke(id, by) {
      const { key, isNew } = await keys.revoke(id, nameOf(by));
      if (isNew) record('api_key.revoked', by, key);
      return key;
    },
  };
}

function nameOf({ type, id }: Actor): KeyActor {
  return { name: `${type} ${id}`, clientId: type === 'client' ? id : undefined };
}
