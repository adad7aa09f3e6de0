import { Problem } from '../problem.ts';

/** The stages of a signing key: published only, then signing, then published until its last token has expired. */
export const keyStages = ['announced', 'active', 'retired'] as const;
export type KeyStage = (typeof keyStages)[number];

/** JWS algorithms that a key may have. RS256 is for `baseline`; the others for FAPI clients too. */
export const signingAlgorithms = ['RS256', 'PS256', 'ES256', 'EdDSA'] as const;
export type SigningAlgorithm = (typeof signingAlgorithms)[number];

/** The members of a private JWK (RFC 7517 §4, RFC 7518 §6). */
export type PrivateJwk = { kty: string; d: string } & Record<string, unknown>;

/** One signing key. */
export interface SigningKey {
  kid: string;
  algorithm: SigningAlgorithm;
  stage: KeyStage;
  createdAt: Date;
  privateJwk: PrivateJwk;
}

/** The keys in the order in which they sign: active ones first, the newest of them first. */
export function orderForSigning(keys: readonly SigningKey[]): SigningKey[] {
  const rank: Record<KeyStage, number> = { active: 0, announced: 1, retired: 2 };
  return [...keys].sort(
    (a, b) => rank[a.stage] - rank[b.stage] || b.createdAt.getTime() - a.createdAt.getTime(),
  );
}

/** What a key ring lacks to sign: a sentence each. */
export function keyRingProblems(keys: readonly SigningKey[]): string[] {
  const problems: string[] = [];
  if (!keys.some((key) => key.stage === 'active' && key.algorithm === 'RS256')) {
    problems.push('there is no active RS256 signing key');
  }
  const kids = new Set(keys.map((key) => key.kid));
  if (kids.size !== keys.length) problems.push('two signing keys have the same kid');
  return problems;
}

/** One step of a rotation: the key, and the stage that it enters. */
export interface KeyMove {
  kid: string;
  stage: KeyStage;
}

/** The stage of a new key: it signs at once only where no other key of its algorithm does. */
export function stageOfNewKey(keys: readonly SigningKey[], algorithm: SigningAlgorithm): KeyStage {
  const signs = keys.some((key) => key.stage === 'active' && key.algorithm === algorithm);
  return signs ? 'announced' : 'active';
}

/**
 * What makes `kid` sign, in this order: it becomes active, then those of its algorithm that signed until now retire, so
 * that at no moment none signs. Problem('signing_key_invalid') when there is no such key.
 */
export function activationMoves(keys: readonly SigningKey[], kid: string): KeyMove[] {
  const { algorithm } = keyOf(keys, kid);
  const replaced = keys.filter(
    (key) => key.stage === 'active' && key.algorithm === algorithm && key.kid !== kid,
  );
  return [
    { kid, stage: 'active' },
    ...replaced.map((key) => ({ kid: key.kid, stage: 'retired' as const })),
  ];
}

/**
 * Takes a key out of signing; what it signed still verifies. Problem('signing_key_invalid') when there is no such key,
 * or the server could not start without it.
 */
export function retirementMove(keys: readonly SigningKey[], kid: string): KeyMove {
  const { algorithm, stage } = keyOf(keys, kid);
  const others = keys.filter((key) => key.kid !== kid);
  if (stage === 'active' && keyRingProblems(others).length > 0) {
    const detail = `${kid} is the only key that signs with ${algorithm}: activate another one first`;
    throw new Problem('signing_key_invalid', { detail });
  }
  return { kid, stage: 'retired' };
}

function keyOf(keys: readonly SigningKey[], kid: string): SigningKey {
  const key = keys.find((candidate) => candidate.kid === kid);
  if (key === undefined)
    throw new Problem('signing_key_invalid', { detail: `there is no key ${kid}` });
  return key;
}
