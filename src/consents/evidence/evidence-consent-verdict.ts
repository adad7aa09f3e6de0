import { canonicalJson } from '../../security/canonical-json.ts';
import type { EvidenceBundle, EvidenceMove } from './evidence-files.ts';

/**
 * Where what a bundle says of the consent is not what its history made of it: terms, accounts and end as the last move set
 * them, and times. What a move from before contents were kept may have set is not judged.
 */
export function consentFaults(bundle: EvidenceBundle): string[] {
  return [
    ...termsFaults(bundle),
    ...accountFaults(bundle),
    ...endFaults(bundle),
    ...timeFaults(bundle),
    ...customerFaults(bundle),
  ];
}

/** Whether nothing is kept of a move but its row and the digest of its page. */
export function isBare({ page, ...entry }: EvidenceMove): boolean {
  const { accounts, expires_at: until, authentication, client } = entry;
  return [accounts, until, authentication, client, page?.shown].every((part) => part === undefined);
}

/** Undefined is a value like others. */
function isSame(one: unknown, other: unknown): boolean {
  return canonicalJson({ one }) === canonicalJson({ one: other });
}

/** The terms never change: a consent with others is another consent. */
const terms = ['type', 'permissions', 'payment', 'account'] as const;

function termsFaults({ consent, history }: EvidenceBundle): string[] {
  const lodged = history[0]?.lodged;
  if (lodged === undefined) return [];
  return terms
    .filter((name) => !isSame(lodged[name], consent[name]))
    .map((name) => `the consent’s ${name} is not as it was lodged`);
}

/** Moves by which accounts and end can be set. */
const setting: readonly EvidenceMove['move'][] = ['authorise', 'reauthenticate', 'change'];

/** What the last move set that sets any, else `first`; 'unknown' where a later one may have, and did not keep it. */
function lastSet<Value>(
  history: readonly EvidenceMove[],
  valueOf: (entry: EvidenceMove) => Value | undefined,
  first: Value | 'unknown',
): Value | 'unknown' {
  const last = history.findLast(
    (entry) => valueOf(entry) !== undefined || (setting.includes(entry.move) && isBare(entry)),
  );
  return last === undefined ? first : (valueOf(last) ?? 'unknown');
}

function accountFaults({ consent, history }: EvidenceBundle): string[] {
  const set = lastSet(history, ({ accounts }) => accounts, []);
  return set === 'unknown' || isSame(set, consent.accounts)
    ? []
    : ['the consent’s accounts are not those that were chosen last'];
}

function endFaults({ consent, history }: EvidenceBundle): string[] {
  const set = lastSet(history, (entry) => entry.expires_at, lodgedEnd({ consent, history }));
  return set === 'unknown' || isSame(millisecondsOf(set), millisecondsOf(consent.expires_at))
    ? []
    : ['the consent’s end is not the one that was set last'];
}

/** A payment that names no end must be made within the time for the decision; access that names none is open. */
function lodgedEnd({ consent, history }: Pick<EvidenceBundle, 'consent' | 'history'>): string {
  const lodged = history[0]?.lodged;
  if (lodged === undefined) return 'unknown';
  const { expiresAt } = lodged;
  if (typeof expiresAt === 'string') return expiresAt;
  return consent.type === 'payment' ? consent.decide_by : 'never';
}

function millisecondsOf(time: string | undefined): number | undefined {
  return time === undefined || time === 'never' ? undefined : Date.parse(time);
}

/** A renewed or changed consent keeps the time of its state. */
function timeFaults({ consent, history }: EvidenceBundle): string[] {
  const last = history.findLast(({ state }, at) => state !== history[at - 1]?.state);
  return [
    ...(isSame(millisecondsOf(consent.created_at), millisecondsOf(history[0]?.at))
      ? []
      : ['the consent was not created when its first move was']),
    ...(isSame(millisecondsOf(consent.changed_at), millisecondsOf(last?.at))
      ? []
      : ['the consent has not changed when its state did last']),
  ];
}

function customerFaults({ consent, history }: EvidenceBundle): string[] {
  const decision = history.find(({ move }) => move === 'authorise');
  return decision === undefined || decision.by.id === consent.customer_id
    ? []
    : ['the consent’s customer is not who authorised it'];
}
