import type { EvidenceBundle, EvidenceMove } from './evidence-files.ts';
import { hasNoContent } from './evidence-verdict.ts';

/** What a bundle proves that holds, a sentence each, for people who have to judge it. */
export function provenBy(bundle: EvidenceBundle): string[] {
  const { consent, history } = bundle;
  return [
    `${bundle.iss} stated this at ${timeOf(bundle)} with ${bundle.software.name} ${bundle.software.version}.`,
    ...history.map((entry) => wordsOf(entry, bundle)),
    tokenWords(bundle),
    `At that time the consent was ${consent.state}.`,
  ];
}

/** What nobody can read out of it. */
export function notProvenBy({ history }: EvidenceBundle): string[] {
  const bare = history.filter(({ page }) => page !== undefined && page.shown === undefined);
  const older = history.filter(hasNoContent);
  return [
    'Which person the customer is: the bank knows its customers by their identifiers.',
    'That nothing was issued before the audit trail began, after its retention ended, or before the trail told under which consent a token is issued.',
    ...(bare.length === 0
      ? []
      : [`The words of ${String(bare.length)} pages, of which only the digest was kept.`]),
    ...(older.length === 0
      ? []
      : [
          `How the customer had logged in for ${String(older.length)} decisions, and for which accounts: an older version did not keep it.`,
        ]),
  ];
}

function timeOf({ iat }: EvidenceBundle): string {
  return new Date(iat * 1000).toISOString();
}

function wordsOf(entry: EvidenceMove, { consent }: EvidenceBundle): string {
  const { at, move, by, reason, address } = entry;
  const who = by.type === 'system' ? 'the passing of time or the server' : nameOf(by);
  const where = address === undefined ? '' : ` from ${address}`;
  const why = reason === undefined ? '' : ` (${reason})`;
  if (move === 'create') {
    const what = consent.permissions.length === 0 ? '' : `: ${consent.permissions.join(', ')}`;
    return `At ${at} ${who}${where} asked for a consent to ${aboutOf(consent.type)}${what}.`;
  }
  return `At ${at} ${who}${where} ${verbs[move]}${why}${loginOf(entry)}${pageOf(entry)}.`;
}

const verbs = {
  authorise: 'authorised it',
  reject: 'rejected it',
  withdraw: 'took it back',
  lapse: 'let it lapse',
  reauthenticate: 'confirmed it',
  change: 'changed it',
  revoke: 'revoked it',
  expire: 'ended it',
  consume: 'used it up',
} as const satisfies Record<Exclude<EvidenceMove['move'], 'create'>, string>;

function nameOf({ type, id }: EvidenceMove['by']): string {
  const name = type.replace('-', ' ');
  return id === undefined ? `the ${name}` : `the ${name} ${id}`;
}

function aboutOf(type: EvidenceBundle['consent']['type']): string {
  const words = {
    accounts: 'read accounts',
    payment: 'make one payment',
    'funds-confirmation': 'have funds confirmed',
  } as const;
  return words[type];
}

function loginOf({ authentication }: EvidenceMove): string {
  if (authentication === undefined) return '';
  const { acr, amr, auth_time: at } = authentication;
  const level = acr === undefined ? '' : ` (${acr})`;
  return `, having logged in${at === undefined ? '' : ` at ${at}`} by ${amr.join(' and ')}${level}`;
}

function pageOf({ page, accounts = [] }: EvidenceMove): string {
  const chosen =
    accounts.length === 0 ? '' : `, for ${accounts.map(({ name }) => name).join(' and ')}`;
  if (page === undefined) return chosen;
  const kept = page.shown === undefined ? 'with the digest' : 'whose words are here, digest';
  return `${chosen}, on a page in ${page.locale} ${kept} ${page.digest}`;
}

function tokenWords({ tokens }: EvidenceBundle): string {
  if (tokens.length === 0) return 'The audit trail has no access token that was issued under it.';
  const bound = [...new Set(tokens.flatMap(({ bound_to: key }) => key ?? []))];
  const to = bound.length === 0 ? 'bound to nothing' : `bound to ${bound.join(', ')}`;
  const first = tokens[0]?.issued_at ?? '';
  const last = tokens.at(-1)?.issued_at ?? '';
  const were =
    tokens.length === 1 ? '1 access token was' : `${String(tokens.length)} access tokens were`;
  return `${were} issued under it from ${first} to ${last}, ${to}.`;
}
