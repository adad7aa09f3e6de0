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

/** Algorithms for which an active key exists: what discovery may promise. */
export function algorithmsThatSign(keys: readonly SigningKey[]): SigningAlgorithm[] {
  const active = new Set(keys.filter((key) => key.stage === 'active').map((key) => key.algorithm));
  return signingAlgorithms.filter((algorithm) => active.has(algorithm));
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
