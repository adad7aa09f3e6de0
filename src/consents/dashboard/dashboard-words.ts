import type { Consent } from '../consent-codec.ts';
import type { HistoryEntry } from '../consent-store.ts';
import { consentWords } from '../consent-words.ts';
import type { Words } from '../consent-words.ts';

/** A client as customers know it. */
export interface KnownClient {
  name: string;
  uri: string | undefined;
}

export function clientWords(client: KnownClient | undefined, words: Words): string {
  return client?.name ?? words.text('account.goneClient', { bank: words.bank });
}

const endings: readonly string[] = ['rejected', 'revoked', 'expired', 'consumed'];

/** Until when a consent gives access, or how and when it ended. */
export function stateWords(consent: Consent, words: Words): string {
  const { state, expiresAt, changedAt } = consent;
  switch (state) {
    case 'authorised':
      return expiresAt === undefined
        ? words.text('consentState.open')
        : words.text('consentState.until', { date: words.date(expiresAt) });
    case 'awaiting-authorisation':
      return words.text('consentState.awaiting-authorisation');
    default: {
      // Time may have ended it without anybody having written that down yet.
      const at = state === 'expired' ? (expiresAt ?? changedAt) : changedAt;
      const known = endings.includes(state) ? state : 'other';
      return words.text(`consentState.${known}`, { date: words.date(at) });
    }
  }
}

/** What a consent is about, in a few words each. */
export function whatInShort(consent: Consent, words: Words): string[] {
  const { clusters, payment, kind } = consentWords(consent, words);
  if (payment !== undefined) {
    const { amount, payee } = payment;
    return [words.text('consents.pay', { amount, payee })];
  }
  return kind === 'funds-confirmation'
    ? [words.text('consents.funds')]
    : clusters.map(({ title }) => title);
}

export function lastUseWords(at: Date | undefined, words: Words): string {
  return at === undefined ? words.text('consents.neverUsed') : words.date(at);
}

/** One step of a consent's life as its customer reads it. */
export function historyWords(entry: HistoryEntry, client: string, words: Words): string {
  return words.text(`history.${historyKey(entry)}`, { client, bank: words.bank });
}

/** Moves that are the same whoever makes them. */
const plainMoves = [
  'create',
  'authorise',
  'reauthenticate',
  'reject',
  'withdraw',
  'lapse',
  'expire',
  'consume',
];
const changes = ['accounts', 'end', 'both'];

function historyKey({ move, by, reason = '' }: HistoryEntry): string {
  if (plainMoves.includes(move)) return move;
  if (move === 'change' && changes.includes(reason)) return `change.${reason}`;
  if (move !== 'revoke') return 'other';
  return by.type === 'customer' || by.type === 'client' ? `revoke.${by.type}` : 'revoke.bank';
}
