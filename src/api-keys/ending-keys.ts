import { setTimeout as wait } from 'node:timers/promises';
import type { Logger } from '../observability/logger.ts';
import type { Recorder } from './api-key-ports.ts';
import type { ApiKeyStore } from './api-key-store.ts';

interface Dependencies {
  keys: Pick<ApiKeyStore, 'takeEnding'>;
  audit: Recorder;
  logger: Logger;
  warningSeconds: number;
  intervalMs: number;
  /** Told of each key that ends soon. */
  onEnding: () => void;
}

/** Tells of keys before they end. */
export interface EndingKeys {
  start(): void;
  stop(): Promise<void>;
  /** One run; how many keys were told of. */
  runOnce(): Promise<number>;
}

const batchSize = 200;

/** Every process may run one; each key is told of once, in the log, the audit trail and a counter. */
export function createEndingKeys(deps: Dependencies): EndingKeys {
  const { keys, audit, logger, warningSeconds, intervalMs } = deps;
  const stopping = new AbortController();
  const { signal } = stopping;
  let loop: Promise<void> | undefined;

  async function runOnce(): Promise<number> {
    const ending = await keys.takeEnding(warningSeconds, batchSize);
    for (const { id, name, owner, expiresAt, successorId: successor } of ending) {
      const facts = { key: id, name, expiresAt: expiresAt.toISOString(), successor };
      logger.warn('An API key ends soon', facts);
      deps.onEnding();
      audit.record({
        ...{ type: 'api_key.ending', outcome: 'success', actor: { type: 'system' } },
        ...(owner.type === 'client' ? { clientId: owner.id } : {}),
        detail: facts,
      });
    }
    return ending.length;
  }

  async function runUntilStopped(): Promise<void> {
    while (!signal.aborted) {
      await runOnce().catch((error: unknown) => {
        logger.error('Keys that end soon were not told of; trying again later', { error });
      });
      await wait(intervalMs, undefined, { ref: false, signal }).catch(() => undefined);
    }
  }

  return {
    runOnce,
    start() {
      loop ??= runUntilStopped();
    },
    async stop() {
      stopping.abort();
      await loop;
    },
  };
}
