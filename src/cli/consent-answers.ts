import type { Consent } from '../consents/consent-codec.ts';
import type { HistoryEntry } from '../consents/consent-store.ts';
import { fields, table } from './output.ts';
import type { Answer } from './output.ts';

/** A customer's consents, a line each. */
export function consentList(consents: readonly Consent[]): Answer {
  const rows = consents.map(({ id, clientId, type, state, expiresAt }) => [
    ...[id, clientId, type, state],
    expiresAt?.toISOString() ?? 'open',
  ]);
  const text = table(['ID', 'CLIENT', 'TYPE', 'STATE', 'UNTIL'], rows);
  return { json: { consents: consents.map(asJson) }, text };
}

/** One consent with everything that happened to it. */
export function consentDetails(consent: Consent, history: readonly HistoryEntry[]): Answer {
  const { id, clientId, customerId, type, state, permissions, expiresAt, payment } = consent;
  const facts = fields({
    ...{ id, client: clientId, customer: customerId, type, state },
    permissions: permissions.length === 0 ? undefined : permissions,
    payment: payment && `${payment.amount} ${payment.currency} to ${payment.payee.name ?? ''}`,
    accounts: consent.accounts.map(({ name, number }) => `${name} ${number}`),
    until: expiresAt,
  });
  const rows = history.map(({ at, move, state: after, by, address }) => [
    ...[at.toISOString(), move, after],
    ...[by.id === undefined ? by.type : `${by.type} ${by.id}`, address ?? ''],
  ]);
  return {
    json: { consent: asJson(consent), history: history.map(entryAsJson) },
    text: `${facts}\n\n${table(['AT', 'MOVE', 'STATE', 'BY', 'FROM'], rows)}`,
  };
}

/** What was done to a consent. */
export function consentDone(done: string, consent: Consent): Answer {
  return { json: { consent: asJson(consent) }, text: `The consent ${consent.id} is ${done}.` };
}

function asJson(consent: Consent) {
  const { id, clientId, customerId, type, regime, state, permissions, payment, accounts } = consent;
  return {
    ...{ id, clientId, customerId, type, regime, state, permissions, payment, accounts },
    expiresAt: consent.expiresAt?.toISOString(),
    createdAt: consent.createdAt.toISOString(),
    changedAt: consent.changedAt.toISOString(),
  };
}

function entryAsJson({ at, ...entry }: HistoryEntry) {
  return { ...entry, at: at.toISOString() };
}
