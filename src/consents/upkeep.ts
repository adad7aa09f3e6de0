import type { AuditEventType } from '../audit/events.ts';
import type { Logger } from '../observability/logger.ts';
import { createRepeatedWork } from '../observability/repeated-work.ts';
import type { RepeatedWork } from '../observability/repeated-work.ts';
import type { Recorder } from './consent-ports.ts';
import type { ConsentStore } from './consent-store.ts';

/** What the upkeep of consents stands on. */
export interface UpkeepOptions {
  consents: Pick<ConsentStore, 'moveDue'>;
  audit: Recorder;
  logger: Logger;
  /** Time from the end of one run to the next. */
  intervalMs: number;
}

/** Writes down what time has ended. */
export interface Upkeep extends RepeatedWork {
  /** One run; how many consents were moved. */
  runOnce(): Promise<number>;
}

const batchSize = 200;

/**
 * Moves consents whose time is over, with history and audit, so that their tokens are gone and not merely refused. Nothing
 * waits for it: every read tells the state by the clock. Every process may run one; each consent is moved once.
 */
export function createUpkeep({ consents, audit, logger, intervalMs }: UpkeepOptions): Upkeep {
  async function runOnce(): Promise<number> {
    const moved = await consents.moveDue(batchSize);
    for (const { id, clientId, customerId, state } of moved) {
      const type: AuditEventType = state === 'expired' ? 'consent.expired' : 'consent.rejected';
      audit.record({
        ...{ type, outcome: 'success', actor: { type: 'system' }, clientId },
        ...(customerId === undefined ? {} : { customerId }),
        detail: { consent: id, by: 'time' },
      });
    }
    return moved.length;
  }

  const work = createRepeatedWork({
    ...{ run: runOnce, intervalMs, first: 'now' },
    onFailure(error) {
      logger.error('Consents that have ended were not moved; trying again later', { error });
    },
  });
  return { ...work, runOnce };
}
