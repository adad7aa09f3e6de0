import { equalDigests, sha256 } from '../../security/secrets.ts';
import { consentMoves, isFinal, presentState } from '../consent.ts';
import type { ConsentMove } from '../consent.ts';
import { chained } from './evidence.ts';
import { consentFaults, isBare } from './evidence-consent-verdict.ts';
import type { EvidenceBundle, EvidenceMove } from './evidence-files.ts';

/**
 * What contradicts itself in a bundle whose signature holds; nothing in one that tells a life that a consent can have.
 * Needs neither the database nor the configuration.
 */
export function inconsistenciesOf(bundle: EvidenceBundle): string[] {
  const { history } = bundle;
  return [
    ...chainFaults(bundle),
    ...history.flatMap((entry, at) => moveFaults(entry, history[at - 1], at)),
    ...history.flatMap(pageFaults),
    ...history.flatMap((entry) => partyFaults(entry, bundle)),
    ...statementFaults(bundle),
    ...stateFaults(bundle),
    ...consentFaults(bundle),
    ...tokenFaults(bundle),
  ];
}

function chainFaults({ history, history_digest: last }: EvidenceBundle): string[] {
  const expected = chained(history.map(({ digest: _digest, ...entry }) => entry));
  const broken = history.find(({ digest }, at) => digest !== expected[at]?.digest);
  if (broken !== undefined) return [`the digest of move ${String(broken.version)} does not fit`];
  return last === history.at(-1)?.digest ? [] : ['the digest of the whole history does not fit'];
}

/** Processes' clocks differ, and tokens are recorded a moment after they were issued: seconds tell nothing. */
const toleranceMs = 5000;

function moveFaults(entry: EvidenceMove, before: EvidenceMove | undefined, at: number): string[] {
  const { version, move, state } = entry;
  const of = `move ${String(version)} (${move})`;
  const faults: string[] = [];
  if (version !== at + 1) faults.push(`${of} should have version ${String(at + 1)}`);
  if (before !== undefined && Date.parse(entry.at) + toleranceMs < Date.parse(before.at)) {
    faults.push(`${of} is before the one before`);
  }
  const legal = move === 'create' ? creation : consentMoves[move];
  if (legal.from !== before?.state || legal.to !== state) {
    faults.push(`${of} can not lead from ${before?.state ?? 'nothing'} to ${state}`);
  }
  return faults;
}

const creation = { from: undefined, to: 'awaiting-authorisation' } as const;

function pageFaults({ version, page }: EvidenceMove): string[] {
  if (page?.shown === undefined) return [];
  const shown = sha256(page.shown);
  return equalDigests(shown, Buffer.from(page.digest, 'base64url'))
    ? []
    : [`the page of move ${String(version)} is not the one whose digest was kept`];
}

/** Moves that only the customer of the consent makes, having seen a page. */
const decisions: readonly (ConsentMove | 'create')[] = ['authorise', 'reauthenticate', 'reject'];

function partyFaults(entry: EvidenceMove, { consent }: EvidenceBundle): string[] {
  const { version, move, by } = entry;
  const of = `move ${String(version)} (${move})`;
  if (move === 'create') {
    const isOwn = by.type === 'client' && by.id === consent.client_id;
    return isOwn ? [] : [`${of} is not by the consent's client`];
  }
  const owner = consent.customer_id ?? by.id;
  const isForeign = by.type === 'customer' && by.id !== owner;
  return [
    ...(isForeign ? [`${of} is by another customer`] : []),
    ...(decisions.includes(move) ? decisionFaults(entry, of) : []),
  ];
}

function decisionFaults(entry: EvidenceMove, of: string): string[] {
  const { by, page, authentication } = entry;
  const isIncomplete = page === undefined || (authentication === undefined && !hasNoContent(entry));
  return [
    ...(by.type === 'customer' ? [] : [`${of} is not by a customer`]),
    ...(isIncomplete ? [`${of} lacks the page or the login`] : []),
  ];
}

/** Whether nothing is kept of a decision but its row and the digest of its page, as it was in older versions. */
export function hasNoContent(entry: EvidenceMove): boolean {
  return decisions.includes(entry.move) && isBare(entry);
}

function statementFaults({ history, iat }: EvidenceBundle): string[] {
  const stated = (iat + 1) * 1000 + toleranceMs;
  return history
    .filter(({ at }) => Date.parse(at) > stated)
    .map(({ version, move }) => `move ${String(version)} (${move}) is after the statement`);
}

/** What time has ended is told before it is written down. */
function stateFaults({ consent, history, iat }: EvidenceBundle): string[] {
  const last = history.at(-1)?.state ?? 'awaiting-authorisation';
  const { expires_at: expiresAt, decide_by: decideBy } = consent;
  const times = {
    state: last,
    decideBy: new Date(decideBy),
    expiresAt: expiresAt === undefined ? undefined : new Date(expiresAt),
  };
  // The signature's time has whole seconds, so that the state may be told some milliseconds later.
  const possible = [last, ...[0, 999].map((ms) => presentState(times, new Date(iat * 1000 + ms)))];
  return possible.includes(consent.state)
    ? []
    : [`the consent is ${consent.state}, its history ends with ${last}`];
}

function tokenFaults({ consent, history, tokens }: EvidenceBundle): string[] {
  const from = history.find(({ move }) => move === 'authorise')?.at;
  const until = history.find(({ state }) => isFinal(state))?.at;
  return tokens.flatMap(({ issued_at: at, client_id: client }) => {
    const isEarly = from === undefined || Date.parse(at) < Date.parse(from) - toleranceMs;
    const isLate = until !== undefined && Date.parse(at) > Date.parse(until) + toleranceMs;
    return [
      ...(isEarly || isLate
        ? [`the token of ${at} was issued while the consent did not stand`]
        : []),
      ...(client === consent.client_id ? [] : [`the token of ${at} is another client's`]),
    ];
  });
}
