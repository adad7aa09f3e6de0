import { Problem } from '../problem.ts';

/** What a consent is about. */
export const consentTypes = ['accounts', 'payment', 'funds-confirmation'] as const;
export type ConsentType = (typeof consentTypes)[number];

/** The states of a consent; the last four are final. */
export const consentStates = [
  'awaiting-authorisation',
  'authorised',
  'rejected',
  'revoked',
  'expired',
  'consumed',
] as const;
export type ConsentState = (typeof consentStates)[number];

/**
 * Everything that can happen to a consent, and who does it: the customer decides (`authorise`, `reject`), authenticates
 * again for the same consent (`reauthenticate`), narrows it (`change`) or ends it (`revoke`); the client takes a consent
 * back that nobody decided (`withdraw`) or ends it (`revoke`); a resource server makes the payment that it is for
 * (`consume`); time passes (`lapse` undecided, `expire`).
 */
export const consentMoves = {
  authorise: { from: 'awaiting-authorisation', to: 'authorised' },
  reject: { from: 'awaiting-authorisation', to: 'rejected' },
  withdraw: { from: 'awaiting-authorisation', to: 'rejected' },
  lapse: { from: 'awaiting-authorisation', to: 'rejected' },
  reauthenticate: { from: 'authorised', to: 'authorised' },
  change: { from: 'authorised', to: 'authorised' },
  revoke: { from: 'authorised', to: 'revoked' },
  expire: { from: 'authorised', to: 'expired' },
  consume: { from: 'authorised', to: 'consumed' },
} as const satisfies Record<string, { from: ConsentState; to: ConsentState }>;
export type ConsentMove = keyof typeof consentMoves;

/** The state after a move. Problem('consent_state') when the move is not legal in `state`. */
export function stateAfter(state: ConsentState, move: ConsentMove): ConsentState {
  const { from, to } = consentMoves[move];
  if (state !== from) {
    throw new Problem('consent_state', {
      detail: `${move} needs ${from}, the consent is ${state}`,
    });
  }
  return to;
}

/** Whether a consent can never change again. */
export function isFinal(state: ConsentState): boolean {
  return !Object.values(consentMoves).some(({ from }) => from === state);
}

/** Whether a move takes away what tokens were issued for. */
export function endsAccess(move: ConsentMove): boolean {
  return isFinal(consentMoves[move].to);
}

/** The moments that decide about a consent without anybody's doing. */
export interface ConsentTimes {
  state: ConsentState;
  /** Until when the customer must have decided. */
  decideBy: Date;
  /** When what was allowed ends; undefined for open-ended access. */
  expiresAt: Date | undefined;
}

/** What time makes of a consent whose row nobody has touched yet: the move that is due, or undefined. */
export function moveThatIsDue(
  { state, decideBy, expiresAt }: ConsentTimes,
  now: Date,
): 'lapse' | 'expire' | undefined {
  if (state === 'awaiting-authorisation') {
    const last = expiresAt !== undefined && expiresAt < decideBy ? expiresAt : decideBy;
    return last <= now ? 'lapse' : undefined;
  }
  if (state === 'authorised' && expiresAt !== undefined && expiresAt <= now) return 'expire';
  return undefined;
}

/** The state as it is to be told at `now`. */
export function presentState(times: ConsentTimes, now: Date): ConsentState {
  const due = moveThatIsDue(times, now);
  return due === undefined ? times.state : consentMoves[due].to;
}

/** A bank account as a client names it. */
export interface NamedAccount {
  /** Identification scheme, for example "UK.OBIE.SortCodeAccountNumber" or "IBAN". */
  scheme: string;
  identification: string;
  name?: string | undefined;
  secondaryIdentification?: string | undefined;
}

/** The payment that is allowed, and no other (dynamic linking, RTS on SCA Article 5). */
export interface PaymentTerms {
  /** Decimal text, never a float; the unit is `currency` (ISO 4217). */
  amount: string;
  currency: string;
  payee: NamedAccount;
  /** What the payee sees. */
  reference?: string | undefined;
  /** The account to pay from, where the client names it. */
  payer?: NamedAccount | undefined;
}

/** What a client asks a customer for. */
export interface ConsentTerms {
  type: ConsentType;
  /** From the regime's catalogue; empty unless `type` is accounts. */
  permissions: readonly string[];
  expiresAt?: Date | undefined;
  /** Transactions before and after are not shared. */
  transactionsFrom?: Date | undefined;
  transactionsTo?: Date | undefined;
  payment?: PaymentTerms | undefined;
  /** The account whose funds are to be confirmed. */
  account?: NamedAccount | undefined;
  /** What else the regime's request said; given back as it came. */
  own?: Readonly<Record<string, unknown>> | undefined;
}

/** What is wrong with terms: where, and what, for the client's developers. */
export interface TermsFault {
  kind: 'invalid' | 'invalid-date' | 'missing';
  /** The member of {@link ConsentTerms}. */
  member: 'permissions' | 'expiresAt' | 'transactionsFrom' | 'payment' | 'account';
  message: string;
}

/** How one permission is shown, and what it can't be asked without. */
export interface PermissionRule {
  /** The data cluster that the customer reads. */
  cluster: string;
  /** Each list needs at least one of its permissions. */
  needs?: readonly (readonly string[])[];
}

export type RegimeName = 'uk' | 'plain';

/** A market's own words and limits; the life of a consent is the same everywhere. */
export interface Regime {
  name: RegimeName;
  /** Scope that a customer allows with a consent. */
  scopes: Readonly<Record<ConsentType, string>>;
  /** Scope of the client-credentials token that lodges, reads and ends one. */
  lodgingScopes: Readonly<Record<ConsentType, string>>;
  permissions: Readonly<Record<string, PermissionRule>>;
  /** One of them must be there, where any is asked for. */
  requiredPermissions: readonly string[];
  /** Seconds within which the customer must have decided, and a payment be made. */
  decisionSeconds: number;
  /** Days that access to accounts may last at most; undefined where it may be open-ended. */
  longestDays: number | undefined;
}

const dayMs = 86_400_000;

/** What is wrong with `terms` in this regime; nothing for terms that may be lodged. */
export function faultsOf(terms: ConsentTerms, regime: Regime, now: Date): TermsFault[] {
  return [
    ...permissionFaults(terms, regime),
    ...periodFaults(terms, regime, now),
    ...partFaults(terms),
  ];
}

function permissionFaults({ type, permissions }: ConsentTerms, regime: Regime): TermsFault[] {
  const invalid = (message: string): TermsFault => ({
    ...{ kind: 'invalid', member: 'permissions', message },
  });
  if (type !== 'accounts') {
    return permissions.length === 0
      ? []
      : [invalid(`a consent of type ${type} has no permissions`)];
  }
  const { requiredPermissions: required } = regime;
  const isEnough = required.some((name) => permissions.includes(name));
  return [
    ...permissions.flatMap((name) => unmetNeeds(name, permissions, regime)).map(invalid),
    ...(isEnough ? [] : [invalid(`one of ${required.join(', ')} must be asked for`)]),
  ];
}

function unmetNeeds(name: string, asked: readonly string[], { permissions }: Regime): string[] {
  const rule = Object.hasOwn(permissions, name) ? permissions[name] : undefined;
  if (rule === undefined) return [`${JSON.stringify(name)} is not a permission`];
  return (rule.needs ?? [])
    .filter((oneOf) => !oneOf.some((needed) => asked.includes(needed)))
    .map((oneOf) => `${name} needs one of ${oneOf.join(', ')}`);
}

function periodFaults(terms: ConsentTerms, { longestDays }: Regime, now: Date): TermsFault[] {
  const { type, expiresAt, transactionsFrom: from, transactionsTo: to } = terms;
  const faults: TermsFault[] = [];
  const fault = (member: TermsFault['member'], message: string) =>
    faults.push({ kind: 'invalid-date', member, message });
  if (expiresAt !== undefined && expiresAt <= now) fault('expiresAt', 'the end must lie ahead');
  const isLimited = type === 'accounts' && longestDays !== undefined;
  if (isLimited && isLongerThan(longestDays, expiresAt, now)) {
    const limit = `access may last ${String(longestDays)} days at most`;
    fault('expiresAt', expiresAt === undefined ? `the end must be given: ${limit}` : limit);
  }
  if (from !== undefined && to !== undefined && to < from) {
    fault('transactionsFrom', 'the beginning must not lie after the end');
  }
  return faults;
}

function isLongerThan(days: number, end: Date | undefined, now: Date): boolean {
  return end === undefined || end.getTime() > now.getTime() + days * dayMs;
}

/** Which member besides the permissions belongs to which type. */
const partOf = { payment: 'payment', 'funds-confirmation': 'account' } as const;

function partFaults(terms: ConsentTerms): TermsFault[] {
  const faults: TermsFault[] = [];
  for (const [type, member] of Object.entries(partOf)) {
    const isThere = terms[member] !== undefined;
    if (isThere === (type === terms.type)) continue;
    const message = `a consent of type ${terms.type} ${isThere ? 'has no' : 'needs'} ${member}`;
    faults.push({ kind: isThere ? 'invalid' : 'missing', member, message });
  }
  if (terms.payment !== undefined && !(Number(terms.payment.amount) > 0)) {
    faults.push({ kind: 'invalid', member: 'payment', message: 'the amount must be above zero' });
  }
  return faults;
}

/**
 * The latest end that a customer may set: no later than the client asked for, nor than the regime lets access last from
 * now on. Undefined where there is no such limit.
 */
export function latestEnd(
  { askedUntil }: { askedUntil: Date | undefined },
  { longestDays }: Pick<Regime, 'longestDays'>,
  now: Date,
): Date | undefined {
  const longest = longestDays === undefined ? Infinity : now.getTime() + longestDays * dayMs;
  const latest = Math.min(askedUntil?.getTime() ?? Infinity, longest);
  return latest === Infinity ? undefined : new Date(latest);
}

/** Begins every consent's id, so that no other identifier of ours is taken for one. */
const idPrefix = 'urn:countersign:consent:';

/** The id of a new consent; `random` is at least 128 bits as base64url. */
export function consentIdFrom(random: string): string {
  return idPrefix + random;
}

/** The part of a consent's id that tells it from others, for addresses that people see. */
export function consentReference(id: string): string {
  return id.slice(idPrefix.length);
}

const idShape = /^urn:countersign:consent:[\w-]{20,64}$/;

/** Whether `value` could be a consent's id. */
export function isConsentId(value: unknown): value is string {
  return typeof value === 'string' && idShape.test(value);
}
