import { signerFailure } from './signer.ts';

/** How much may be asked of a signer at once. */
export interface SignerLimits {
  /** Signatures that are made at the same time. */
  concurrency: number;
  /** Signatures that wait for their turn; further ones fail at once. */
  maxWaiting: number;
  /** How long one waits for its turn, and then for its signature. */
  timeoutMs: number;
}

interface Turn {
  begin: () => void;
  timer: NodeJS.Timeout;
}

/** Lets so many pieces of work run at once, each of which ends in time by itself, and so many wait. */
export function createBounds({ concurrency, maxWaiting, timeoutMs }: SignerLimits) {
  const waiting = new Set<Turn>();
  let running = 0;

  function release(): void {
    const [next] = waiting;
    if (next === undefined) {
      running -= 1;
      return;
    }
    waiting.delete(next);
    clearTimeout(next.timer);
    next.begin();
  }

  function turn(): Promise<void> {
    if (running < concurrency) {
      running += 1;
      return Promise.resolve();
    }
    if (waiting.size >= maxWaiting) {
      throw signerFailure('busy', `${String(waiting.size)} signatures wait already`);
    }
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        waiting.delete(mine);
        reject(signerFailure('timeout', 'no turn came'));
      }, timeoutMs);
      const mine: Turn = { begin: resolve, timer };
      waiting.add(mine);
    });
  }

  /** Does `work` when its turn comes. */
  return async function bounded<T>(work: () => Promise<T>): Promise<T> {
    await turn();
    try {
      return await work();
    } finally {
      release();
    }
  };
}
