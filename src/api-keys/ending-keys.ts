import type { Logger } from '../observability/logger.ts';
import { createRepeatedWork } from '../observability/repeated-work.ts';
import type { RepeatedWork } from '../observability/repeated-work.ts';
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
export interface EndingKeys extends RepeatedWork {
  /** One run; how many keys were told of. */
  runOnce(): Promise<number>;
}

const batchSize = 200;

/** Every process may run one; each key is told of once, in the log, the audit trail and a counter. */
export function createEndingKeys(deps: Dependencies): EndingKeys {
  const { keys, audit, logger, warningSeconds, intervalMs } = deps;
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

  const work = createRepeatedWork({
    ...{ run: runOnce, intervalMs, first: 'now' },
    onFailure(error) {
      logger.error('Keys that end soon were not told of; trying again later', { error });
    },
  });
  return { ...work, runOnce };
}
