import type { JWK } from 'jose';
import { Problem } from '../problem.ts';
import { keyRingProblems, orderForSigning } from './key-ring.ts';
import type { KeyRingStore, OpenedKey } from './key-ring-store.ts';

/** The published keys in the order in which they sign. Problem('signing_key_invalid') when none signs. */
export async function readRing(store: Pick<KeyRingStore, 'open'>): Promise<OpenedKey[]> {
  const keys = await store.open();
  const [problem] = keyRingProblems(keys);
  if (problem !== undefined) throw new Problem('signing_key_invalid', { detail: problem });
  return orderForSigning(keys);
}

/** What this process could open before it goes on using: a damaged row must not end signing. */
export function withKnownKeys(
  read: readonly OpenedKey[],
  known: readonly OpenedKey[],
): OpenedKey[] {
  return read.map((key) => {
    if (key.fault === undefined) return key;
    const before = known.find(({ kid }) => kid === key.kid)?.privateJwk;
    return { ...key, privateJwk: before };
  });
}

/** What this process publishes, and could sign with: a key that it can't open is not to be promoted. */
export function signableKids(keys: readonly OpenedKey[]): string[] {
  return kidsOf(
    keys.filter(({ stage, privateJwk }) => stage === 'retired' || privateJwk !== undefined),
  );
}

/** Says whether two readings publish and sign alike. */
export function versionOf(keys: readonly OpenedKey[]): string {
  return keys.map(({ kid, stage }) => `${kid} ${stage}`).join();
}

/** The kids of what is published. */
export function kidsOf(keys: readonly OpenedKey[]): string[] {
  return keys.map(({ kid }) => kid);
}

/** What is announced or retired is published, and verifies only (RFC 7517 §4.3). */
export function jwksOf(keys: readonly OpenedKey[]): JWK[] {
  return keys.map(({ kid, algorithm, stage, publicJwk, privateJwk }) => ({
    ...(stage === 'active' && privateJwk !== undefined ? privateJwk : publicJwk),
    kid,
    alg: algorithm,
    use: 'sig',
    key_ops: stage === 'active' && privateJwk !== undefined ? ['sign', 'verify'] : ['verify'],
  }));
}
