import type { Logger } from '../observability/logger.ts';
import type { OpenedKey } from './key-ring-store.ts';
import { isDoneWithin } from './patience.ts';
import { unprovenKeys } from './ring-reading.ts';
import type { Signers } from './signers/signers.ts';

/** A proof that failed rests so long, and after each further failure twice as long: ms, at most the latter. */
const firstRestMs = 500;
const longestRestMs = 8000;

/** Who asks waits no longer, ms: what else happens to the ring must not wait for a signer that hangs. */
const patienceMs = 100;

interface Rest {
  untilMs: number;
  forMs: number;
}

/** Which keys that are kept elsewhere were seen to sign from here. */
export interface KeyProofs {
  /** Whether a key of the ring is to be tried now, or did sign since {@link of} was asked. */
  areLacking(ring: readonly OpenedKey[]): boolean;
  /** The kids that did; the others are tried, each by itself, and as long as that takes a moment it is waited for. */
  of(ring: readonly OpenedKey[]): Promise<ReadonlySet<string>>;
}

/** Has a key that is kept elsewhere sign once before this process says that it could. */
export function createKeyProofs({
  signers,
  logger,
}: {
  signers: Pick<Signers, 'prove'>;
  logger: Logger;
}): KeyProofs {
  const proven = new Set<string>();
  const rests = new Map<string, Rest>();
  const underWay = new Map<string, Promise<void>>();
  let isTold = true;

  /** A key that does not sign from here is no reason to keep its signer busy. */
  function due(ring: readonly OpenedKey[]): OpenedKey[] {
    const now = performance.now();
    return unprovenKeys(ring, proven).filter(({ kid }) => (rests.get(kid)?.untilMs ?? 0) <= now);
  }

  async function prove(key: OpenedKey): Promise<void> {
    try {
      await signers.prove(key);
      proven.add(key.kid);
      isTold = false;
      rests.delete(key.kid);
    } catch (error) {
      const before = rests.get(key.kid);
      const forMs = Math.min(longestRestMs, before === undefined ? firstRestMs : before.forMs * 2);
      rests.set(key.kid, { untilMs: performance.now() + forMs, forMs });
      // Once a key, because it is tried time and again.
      if (before !== undefined) return;
      logger.error('An announced key does not sign from here', { kid: key.kid, error });
    }
  }

  function begin(key: OpenedKey): void {
    if (underWay.has(key.kid)) return;
    const work = prove(key).finally(() => underWay.delete(key.kid));
    underWay.set(key.kid, work);
  }

  return {
    areLacking: (ring) => !isTold || due(ring).length > 0,
    async of(ring) {
      for (const key of due(ring)) begin(key);
      if (underWay.size > 0) await isDoneWithin(Promise.all(underWay.values()), patienceMs);
      isTold = true;
      return proven;
    },
  };
}
