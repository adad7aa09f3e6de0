import type { Encryption } from '../security/encryption.ts';
import type { ConsentRow } from './consent-row-store.ts';
import { presentState } from './consent.ts';
import type { ConsentState, ConsentTerms, ConsentType, RegimeName } from './consent.ts';

/** An account of a customer's, as it is offered on the consent page. */
export interface OfferedAccount {
  /** The bank's own identifier: what resource servers check against. */
  id: string;
  /** What the customer calls it. */
  name: string;
  /** Masked number, for people. */
  number: string;
  /** How clients may name it, where they may. */
  identification?: { scheme: string; value: string } | undefined;
}

/** What a customer was asked to allow a client, and what became of it. */
export interface Consent extends ConsentTerms {
  id: string;
  clientId: string;
  regime: RegimeName;
  /** As it is now: also what time has changed and nobody has written down yet. */
  state: ConsentState;
  version: number;
  /** The end that the client asked for: customers may set an earlier one. Undefined for open-ended access. */
  askedUntil: Date | undefined;
  decideBy: Date;
  /** Empty until the customer has chosen. */
  accounts: readonly OfferedAccount[];
  customerId: string | undefined;
  acr: string | undefined;
  amr: readonly string[];
  authenticatedAt: Date | undefined;
  createdAt: Date;
  changedAt: Date;
}

/** Terms without what has columns of its own. */
type SealedTerms = Pick<ConsentTerms, 'payment' | 'account' | 'own'> & {
  transactionsFrom?: string | undefined;
  transactionsTo?: string | undefined;
  /** Null for open-ended access; it was not kept at first. */
  askedUntil?: string | null;
};

/** Turns consents into columns and back: what people own, and whom they pay, is sealed. */
export function createConsentCodec(encryption: Encryption) {
  const context = (part: string, id: string) => `consent:${part}:${id}`;

  function seal(part: 'terms' | 'accounts', id: string, value: unknown) {
    return encryption.seal(JSON.stringify(value), context(part, id));
  }

  function openPart(part: 'terms' | 'accounts', id: string, sealed: Uint8Array): unknown {
    return JSON.parse(encryption.open(sealed, context(part, id)));
  }

  return {
    seal,

    columns(id: string, terms: ConsentTerms) {
      const { type, permissions, expiresAt = null, ...rest } = terms;
      const sealed = { ...rest, askedUntil: expiresAt };
      return { type, permissions, terms: seal('terms', id, sealed) };
    },

    /** The consent at `now`. */
    open(row: ConsentRow, now: Date): Consent {
      const { payment, account, own, askedUntil, ...range } = openPart(
        'terms',
        row.id,
        row.terms,
      ) as SealedTerms;
      const expiresAt = row.expiresAt ?? undefined;
      const state = row.state as ConsentState;
      return {
        ...{ id: row.id, clientId: row.clientId, version: row.version, decideBy: row.decideBy },
        ...{ payment, account, own, expiresAt, permissions: row.permissions },
        askedUntil: askedUntil === undefined ? expiresAt : dateOf(askedUntil ?? undefined),
        type: row.type as ConsentType,
        regime: row.regime as RegimeName,
        state: presentState({ state, decideBy: row.decideBy, expiresAt }, now),
        transactionsFrom: dateOf(range.transactionsFrom),
        transactionsTo: dateOf(range.transactionsTo),
        accounts:
          row.accounts === null
            ? []
            : (openPart('accounts', row.id, row.accounts) as OfferedAccount[]),
        customerId: row.customerId ?? undefined,
        acr: row.acr ?? undefined,
        amr: row.amr ?? [],
        authenticatedAt: row.authenticatedAt ?? undefined,
        createdAt: row.createdAt,
        changedAt: row.changedAt,
      };
    },
  };
}

export type ConsentCodec = ReturnType<typeof createConsentCodec>;

function dateOf(text: string | undefined): Date | undefined {
  return text === undefined ? undefined : new Date(text);
}
