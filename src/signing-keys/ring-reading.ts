import type { JWK } from 'jose';
import { Problem } from '../problem.ts';
import { keyRingProblems, orderForSigning } from './key-ring.ts';
import type { KeyRingStore, OpenedKey } from './key-ring-store.ts';
import type { OpenSigner, Signers } from './signers/signers.ts';

/** A key as it is published, and what signs with it; undefined where it only verifies. */
export interface PublishedKey {
  /** Public members, and `kid`, `alg`, `use` and `key_ops`. */
  jwk: JWK;
  signer: OpenSigner | undefined;
}

/** The published keys in the order in which they sign. Problem('signing_key_invalid') when none signs. */
export async function readRing(
  store: Pick<KeyRingStore, 'open'>,
  signers: Pick<Signers, 'lackFor'>,
): Promise<OpenedKey[]> {
  const keys = withLacks(await store.open(), signers);
  const [problem] = keyRingProblems(keys);
  if (problem !== undefined) throw new Problem('signing_key_invalid', { detail: problem });
  return orderForSigning(keys);
}

/** A key that is kept by a signer of which this installation knows nothing has a fault, like one that can't be opened. */
export function withLacks(
  keys: readonly OpenedKey[],
  { lackFor }: Pick<Signers, 'lackFor'>,
): OpenedKey[] {
  return keys.map((key) =>
    key.stage === 'retired' ? key : { ...key, fault: key.fault ?? lackFor(key) },
  );
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

/** Whether this process has what it takes to sign with a key, or to ask who has it. */
function isAtHand({ signer, privateJwk, fault }: OpenedKey): boolean {
  return signer === 'sealed' ? privateJwk !== undefined : fault === undefined;
}

/**
 * What this process publishes, and could sign with: a key that it can't open is not to be promoted, nor one that is kept
 * elsewhere and never signed for it.
 */
export function signableKids(keys: readonly OpenedKey[], proven: ReadonlySet<string>): string[] {
  const isSignable = (key: OpenedKey): boolean =>
    isAtHand(key) && (key.signer === 'sealed' || key.stage === 'active' || proven.has(key.kid));
  return kidsOf(keys.filter((key) => key.stage === 'retired' || isSignable(key)));
}

/** Keys that have yet to show that they can be signed with from here. */
export function unprovenKeys(keys: readonly OpenedKey[], proven: ReadonlySet<string>): OpenedKey[] {
  return keys.filter(
    (key) =>
      key.stage === 'announced' && key.signer !== 'sealed' && isAtHand(key) && !proven.has(key.kid),
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
export function publishedKeys(
  keys: readonly OpenedKey[],
  signers: Pick<Signers, 'open'>,
): PublishedKey[] {
  return keys.map((key) => {
    const isSigning = key.stage === 'active' && isAtHand(key);
    return {
      jwk: {
        ...key.publicJwk,
        kid: key.kid,
        alg: key.algorithm,
        use: 'sig',
        key_ops: isSigning ? ['sign', 'verify'] : ['verify'],
      },
      signer: isSigning ? signers.open(key) : undefined,
    };
  });
}
