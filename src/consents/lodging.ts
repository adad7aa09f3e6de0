import type { AuditEventType } from '../audit/events.ts';
import type { Clock } from '../clock.ts';
import { Problem } from '../problem.ts';
import type { Consent } from './consent-codec.ts';
import type { Recorder } from './consent-ports.ts';
import type { ConsentStore, IdempotencyKey } from './consent-store.ts';
import { faultsOf } from './consent.ts';
import type { ConsentTerms, ConsentType, Regime, TermsFault } from './consent.ts';

/** Which consents an API is about. */
export interface Shelf {
  regime: Regime;
  /** Undefined for all. */
  type: ConsentType | undefined;
}

/** What clients do with their consents. A consent of another client, regime or type does not exist for them. */
export interface Lodging {
  /** The consent, or what is wrong with the terms. Problem('idempotency_mismatch'). */
  lodge(
    request: { clientId: string; regime: Regime; terms: ConsentTerms },
    key: IdempotencyKey | undefined,
  ): Promise<{ consent: Consent } | { faults: readonly TermsFault[] }>;
  /** Problem('consent_not_found'). */
  read(clientId: string, id: string, shelf: Shelf): Promise<Consent>;
  /** Takes an undecided consent back, or revokes an authorised one. Problem('consent_not_found' | 'consent_state'). */
  end(clientId: string, id: string, shelf: Shelf): Promise<void>;
  /** Revokes an authorised consent of this client; one that has ended by then is left as it is. */
  revoke(clientId: string, id: string): Promise<void>;
}

interface Dependencies {
  consents: Pick<ConsentStore, 'insert' | 'find' | 'move'>;
  audit: Recorder;
  clock: Clock;
}

/** Lodging over `consents`, every success recorded. */
export function createLodging({ consents, audit, clock }: Dependencies): Lodging {
  function record(type: AuditEventType, { id, clientId, customerId }: Consent, detail = {}): void {
    audit.record({
      ...{ type, outcome: 'success', actor: { type: 'client', id: clientId }, clientId },
      ...(customerId === undefined ? {} : { customerId }),
      detail: { consent: id, ...detail },
    });
  }

  async function own(clientId: string, id: string, { regime, type }: Shelf): Promise<Consent> {
    const consent = await consents.find(id);
    const isThere =
      consent?.clientId === clientId &&
      consent.regime === regime.name &&
      (type === undefined || consent.type === type);
    if (isThere) return consent;
    const detail = consent === undefined ? 'unknown' : `of ${consent.clientId}, ${consent.regime}`;
    throw new Problem('consent_not_found', { detail });
  }

  return {
    async lodge({ clientId, regime, terms }, key) {
      const faults = faultsOf(terms, regime, clock.now());
      if (faults.length > 0) return { faults };
      const { consent, isNew } = await consents.insert({ clientId, regime, terms }, key);
      if (isNew) record('consent.created', consent, { type: terms.type, regime: regime.name });
      else record('consent.read', consent, { by: 'idempotency key' });
      return { consent };
    },

    async read(clientId, id, shelf) {
      const consent = await own(clientId, id, shelf);
      record('consent.read', consent);
      return consent;
    },

    async end(clientId, id, shelf) {
      const { state } = await own(clientId, id, shelf);
      const move = state === 'awaiting-authorisation' ? 'withdraw' : 'revoke';
      const facts = { by: { type: 'client', id: clientId }, clientId, reason: 'client' } as const;
      const ended = await consents.move(id, move, facts);
      const type = move === 'withdraw' ? 'consent.rejected' : 'consent.revoked';
      record(type, ended, { by: 'client' });
    },

    async revoke(clientId, id) {
      const facts = { by: { type: 'client', id: clientId }, clientId, reason: 'grant' } as const;
      try {
        record('consent.revoked', await consents.move(id, 'revoke', facts), { by: 'grant' });
      } catch (error) {
        if (!(error instanceof Problem) || error.code !== 'consent_state') throw error;
      }
    },
  };
}
