import { Problem } from '../problem.ts';

/**
 * The stages of a signing key: published only; signing; published until the last token that it signed has expired; and
 * gone, at its time or because it was compromised.
 */
export const keyStages = ['announced', 'active', 'retired', 'destroyed', 'revoked'] as const;
export type KeyStage = (typeof keyStages)[number];

/** JWS algorithms that a key may have. RS256 is for `baseline`; the others for FAPI clients too. */
export const signingAlgorithms = ['RS256', 'PS256', 'ES256', 'EdDSA'] as const;
export type SigningAlgorithm = (typeof signingAlgorithms)[number];

/** Where the private part of a key is: sealed in the database, in an HSM, at a key service. */
export const signerNames = ['sealed', 'pkcs11', 'remote'] as const;
export type SignerName = (typeof signerNames)[number];

/** The members of a private JWK (RFC 7517 §4, RFC 7518 §6). */
export type PrivateJwk = { kty: string; d: string } & Record<string, unknown>;

/** The public members alone. */
export type PublicJwk = { kty: string } & Record<string, unknown>;

/** One key of the ring, without its private part. */
export interface RingKey {
  kid: string;
  algorithm: SigningAlgorithm;
  stage: KeyStage;
  /** Who made it: the schedule, an operator, or a file of the keys directory that was taken over. */
  origin: 'schedule' | 'operator' | 'import' | 'file';
  publicJwk: PublicJwk;
  signer: SignerName;
  /** What finds the key at its signer, where it is not sealed in the database. */
  reference: string | undefined;
  createdAt: Date;
  /** When the schedule lets it sign; without it an operator decides. */
  activateAt: Date | undefined;
  activatedAt: Date | undefined;
  retiredAt: Date | undefined;
  /** When the last token that it signed has expired. */
  destroyAt: Date | undefined;
  endedAt: Date | undefined;
}

/** What the rules look at. */
export type StagedKey = Pick<
  RingKey,
  'kid' | 'algorithm' | 'stage' | 'createdAt' | 'activateAt' | 'activatedAt' | 'destroyAt'
>;

/** How keys follow one another, in seconds. */
export interface RotationSchedule {
  /** From one key to the next; 0 leaves it to the operators. */
  rotateSeconds: number;
  /** How long a key is published before it signs. */
  announceSeconds: number;
}

/** What is due: a key to make, a key to move. */
export type RotationStep =
  | { step: 'announce'; algorithm: SigningAlgorithm; activateAt: Date }
  | { step: 'promote' | 'retire' | 'destroy'; kid: string };

/** Announced, active and retired keys are in the key set; the others are not. */
export function isPublished({ stage }: Pick<RingKey, 'stage'>): boolean {
  return stage === 'announced' || stage === 'active' || stage === 'retired';
}

/** The keys in the order in which they sign: active ones first, the one that became so last before the others. */
export function orderForSigning<
  T extends Pick<RingKey, 'stage' | 'createdAt'> & { activatedAt?: Date | undefined },
>(keys: readonly T[]): T[] {
  const rank: Record<KeyStage, number> = {
    active: 0,
    announced: 1,
    retired: 2,
    destroyed: 3,
    revoked: 3,
  };
  const since = (key: T) => (key.activatedAt ?? key.createdAt).getTime();
  return [...keys].sort((a, b) => rank[a.stage] - rank[b.stage] || since(b) - since(a));
}

/** What a key ring lacks to sign: a sentence each. */
export function keyRingProblems(keys: readonly { stage: string; algorithm: string }[]): string[] {
  if (keys.some((key) => key.stage === 'active' && key.algorithm === 'RS256')) return [];
  return ['there is no active RS256 signing key'];
}

/** The key that signs with `algorithm`. */
export function signerOf<T extends StagedKey>(
  keys: readonly T[],
  algorithm: SigningAlgorithm,
): T | undefined {
  return orderForSigning(activeOf(keys, algorithm))[0];
}

/** The key that will sign next with `algorithm`. */
export function successorOf<T extends Pick<RingKey, 'stage' | 'algorithm'>>(
  keys: readonly T[],
  algorithm: SigningAlgorithm,
): T | undefined {
  return keys.find((key) => key.stage === 'announced' && key.algorithm === algorithm);
}

/** When a key that is announced now may sign by itself; undefined where operators rotate. */
export function activationOf(
  signer: StagedKey | undefined,
  schedule: RotationSchedule,
  now: Date,
): Date | undefined {
  if (schedule.rotateSeconds === 0) return undefined;
  const announced = later(now, schedule.announceSeconds);
  const planned = signer === undefined ? now : endOf(signer, schedule);
  return planned > announced ? planned : announced;
}

/**
 * What is due at `now`, for every algorithm that signs. Each step is carried out by one conditional statement, so that
 * every process may find the same one due, and one of them does it.
 */
export function dueSteps(
  keys: readonly StagedKey[],
  schedule: RotationSchedule,
  now: Date,
): RotationStep[] {
  return [
    ...signingAlgorithms.flatMap((algorithm) => stepsFor(algorithm, keys, { schedule, now })),
    ...keys
      .filter(({ stage, destroyAt }) => stage === 'retired' && isReached(destroyAt, now))
      .map(({ kid }) => ({ step: 'destroy' as const, kid })),
  ];
}

function stepsFor(
  algorithm: SigningAlgorithm,
  keys: readonly StagedKey[],
  { schedule, now }: { schedule: RotationSchedule; now: Date },
): RotationStep[] {
  const [signer, ...extra] = orderForSigning(activeOf(keys, algorithm));
  const successor = successorOf(keys, algorithm);
  // Two promotions at once leave two active keys: the earlier one has been replaced.
  const replaced = extra.map(({ kid }) => ({ step: 'retire' as const, kid }));
  if (successor !== undefined) {
    const isDue = signer === undefined || isReached(successor.activateAt, now);
    return isDue ? [...replaced, { step: 'promote', kid: successor.kid }] : replaced;
  }
  const activateAt = activationOf(signer, schedule, now);
  if (signer === undefined || activateAt === undefined) return replaced;
  return later(now, schedule.announceSeconds) < endOf(signer, schedule)
    ? replaced
    : [...replaced, { step: 'announce', algorithm, activateAt }];
}

/** When a key should have been replaced that no schedule replaces: 90 days, as the calendar of docs/operations.md has it. */
const byHandSeconds = 7_776_000;

/** For how many seconds each algorithm's key should have been replaced; 0 while it is not due. */
export function overdueKeys(
  keys: readonly StagedKey[],
  schedule: RotationSchedule,
  now: Date,
): { kid: string; algorithm: SigningAlgorithm; overdueSeconds: number }[] {
  const rotateSeconds = schedule.rotateSeconds === 0 ? byHandSeconds : schedule.rotateSeconds;
  return signingAlgorithms.flatMap((algorithm) => {
    const signer = signerOf(keys, algorithm);
    if (signer === undefined) return [];
    const end = endOf(signer, { ...schedule, rotateSeconds });
    const overdueSeconds = Math.max(0, (now.getTime() - end.getTime()) / 1000);
    return [{ kid: signer.kid, algorithm, overdueSeconds }];
  });
}

/**
 * Refuses to take out of signing what the server could not go on without. Problem('signing_key_act_refused'), also when
 * there is no such key or it has retired already.
 */
export function rejectRetirement(keys: readonly StagedKey[], kid: string): void {
  const key = keyOf(keys, kid);
  if (key.stage !== 'active' && key.stage !== 'announced') throw refused(`${kid} is ${key.stage}`);
  const others = keys.filter((other) => other.kid !== kid);
  if (key.stage === 'active' && keyRingProblems(others).length > 0) {
    const detail = `${kid} is the only key that signs with ${key.algorithm}: promote another one first`;
    throw refused(detail);
  }
}

/** The key with this kid. Problem('signing_key_act_refused') when there is none. */
export function keyOf<T extends Pick<RingKey, 'kid'>>(keys: readonly T[], kid: string): T {
  const key = keys.find((candidate) => candidate.kid === kid);
  if (key === undefined) throw refused(`there is no key ${kid}`);
  return key;
}

function activeOf<T extends StagedKey>(keys: readonly T[], algorithm: SigningAlgorithm): T[] {
  return keys.filter((key) => key.stage === 'active' && key.algorithm === algorithm);
}

function endOf(signer: StagedKey, { rotateSeconds }: RotationSchedule): Date {
  return later(signer.activatedAt ?? signer.createdAt, rotateSeconds);
}

function isReached(moment: Date | undefined, now: Date): boolean {
  return moment !== undefined && moment <= now;
}

function later(moment: Date, seconds: number): Date {
  return new Date(moment.getTime() + seconds * 1000);
}

function refused(detail: string): Problem {
  return new Problem('signing_key_act_refused', { detail });
}
