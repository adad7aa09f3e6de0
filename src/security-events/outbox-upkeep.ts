import type { DeliveryMetrics, Recorder } from './event-ports.ts';
import type { LostEvent, Outbox } from './outbox-store.ts';

interface Dependencies {
  outbox: Pick<Outbox, 'expire' | 'backlog'>;
  limits: { maxAgeMs: number };
  metrics: DeliveryMetrics;
  audit: Recorder;
}

const intervalMs = 10_000;
const batchSize = 500;

/** What the outbox needs from time to time: every process may do it, and each event is given up once. */
export function createOutboxUpkeep({ outbox, limits, metrics, audit }: Dependencies) {
  let dueAt = -Infinity;

  function tell({ streamId: stream, consentId: consent, jti, delivery }: LostEvent): void {
    metrics.securityEventDeliveries.increment({ delivery, outcome: 'expired' });
    audit.record({
      ...{ type: 'security_event.lost', outcome: 'error', actor: { type: 'system' } },
      detail: { stream, consent, jti, reason: 'too old' },
    });
  }

  async function measure(): Promise<void> {
    const found = await outbox.backlog();
    for (const delivery of ['push', 'poll']) {
      const { pending = 0, oldestSeconds = 0 } =
        found.find((backlog) => backlog.delivery === delivery) ?? {};
      metrics.securityEventBacklog.set({ delivery }, pending);
      metrics.securityEventOldestSeconds.set({ delivery }, oldestSeconds);
    }
  }

  return {
    /** Gives up what is too old, and measures what waits; every ten seconds. */
    async runIfDue(): Promise<void> {
      const now = performance.now();
      if (now < dueAt) return;
      dueAt = now + intervalMs;
      for (const lost of await outbox.expire(limits.maxAgeMs, batchSize)) tell(lost);
      await measure();
    },
  };
}
