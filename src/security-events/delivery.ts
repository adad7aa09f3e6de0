import { setTimeout as wait } from 'node:timers/promises';
import type { Logger } from '../observability/logger.ts';
import type { DeliveryMetrics, OutboxChanges, Recorder } from './event-ports.ts';
import { createOutboxUpkeep } from './outbox-upkeep.ts';
import type { ClaimedEvent, Outbox } from './outbox-store.ts';
import type { Push } from './push.ts';
import { retryDelayMs } from './security-event.ts';
import type { Verdict } from './security-event.ts';

/** How events leave this process. */
export interface Delivery {
  start(): void;
  /** Takes nothing more, and waits for what is on its way. */
  stop(): Promise<void>;
}

export interface DeliveryLimits {
  /** How long a receiver may take. */
  timeoutMs: number;
  /** The longest wait between two attempts. */
  longestRetryMs: number;
  /** When an event is given up. */
  maxAgeMs: number;
}

interface Dependencies {
  outbox: Outbox;
  push: Push;
  changes: OutboxChanges;
  limits: DeliveryLimits;
  metrics: DeliveryMetrics;
  audit: Recorder;
  logger: Logger;
  /** From 0 to 1. */
  random: () => number;
}

/** Between two looks at the outbox, besides those that a change asks for: retries and leases fall due without one. */
const lookMs = 1000;
/** Half of the second within which an event leaves, for where changes are not heard. */
const deafLookMs = 500;

/** Of one receiver: events that are taken together, and that may be on their way at once. */
const perStream = 8;
const mostPerStream = 16;
/** Of all receivers: each event on its way has a connection of its own. */
const mostAtOnce = 128;

/**
 * What a process may take besides the time limit for receivers, from before the claim on: for its turn and the signature.
 * Then it ends the attempt; a moment later another process may deliver what this one has. It must not be while this one still
 * sends: a later event would overtake.
 */
const ownTimeMs = 4000;
const leaseMarginMs = 1000;

/**
 * Delivers what the outbox has for receivers that are pushed to. Every process runs one; a row is one process's at a time. A
 * receiver that is down or slow holds up no other, for each has its own share of what is on its way.
 */
export function createDelivery(deps: Dependencies): Delivery {
  const { outbox, limits, changes, logger } = deps;
  const upkeep = createOutboxUpkeep(deps);
  const closing = new AbortController();
  const { signal } = closing;
  const underWay = createUnderWay();
  let wake = new AbortController();
  let loop: Promise<void> | undefined;
  let isTold = false;

  changes.subscribe('security-events', () => {
    wake.abort();
  });

  async function step(): Promise<void> {
    const attemptMs = limits.timeoutMs + ownTimeMs;
    const leaseMs = attemptMs + leaseMarginMs;
    const endsAt = performance.now() + attemptMs;
    const limit = mostAtOnce - underWay.count();
    const claimed = await outbox.claim({ busy: underWay.busy(), perStream, limit, leaseMs });
    for (const event of claimed) {
      underWay.add(event.streamId, deliver(event, endsAt, deps), () => {
        wake.abort(); // what comes after it may be due
      });
    }
    await upkeep.runIfDue();
    if (isTold) logger.info('Security events are delivered again');
    isTold = false;
  }

  async function run(): Promise<void> {
    while (!signal.aborted) {
      wake = new AbortController();
      await step().catch((error: unknown) => {
        // Once, however long it lasts.
        if (!isTold) logger.error('Security events can not be delivered; trying again', { error });
        isTold = true;
      });
      const woken = AbortSignal.any([signal, wake.signal]);
      const pause = isTold || changes.isLive() ? lookMs : deafLookMs;
      await wait(pause, undefined, { signal: isTold ? signal : woken, ref: false }).catch(
        () => undefined,
      );
    }
  }

  return {
    start() {
      loop ??= run();
    },
    async stop() {
      closing.abort();
      await loop;
      await underWay.ended();
    },
  };
}

/** What is on its way, by stream. */
function createUnderWay() {
  const counts = new Map<string, number>();
  const all = new Set<Promise<void>>();

  return {
    add(streamId: string, delivering: Promise<void>, onEnd: () => void): void {
      counts.set(streamId, (counts.get(streamId) ?? 0) + 1);
      const ending = delivering.finally(() => {
        const left = (counts.get(streamId) ?? 1) - 1;
        if (left === 0) counts.delete(streamId);
        else counts.set(streamId, left);
        all.delete(ending);
        onEnd();
      });
      all.add(ending);
    },
    count: () => all.size,
    /** Streams that may not have another batch now. */
    busy: () => [...counts].flatMap(([id, n]) => (n + perStream > mostPerStream ? [id] : [])),
    async ended(): Promise<void> {
      await Promise.all(all);
    },
  };
}

/** Never rejects: what can't be written down is delivered again when its lease is over. */
async function deliver(event: ClaimedEvent, endsAt: number, deps: Dependencies): Promise<void> {
  const { push, logger, metrics } = deps;
  const { streamId, jti, attempts } = event;
  const verdict = await push(event, endsAt);
  const { outcome } = verdict;
  metrics.securityEventDeliveries.increment({ delivery: 'push', outcome });
  if (verdict.outcome !== 'delivered') {
    const { reason, problem: error } = verdict;
    logger.warn('A security event was not taken', { streamId, jti, attempts, reason, error });
  }
  await settle(event, verdict, deps).catch((error: unknown) => {
    logger.error('What became of a security event was not noted', { streamId, jti, error });
  });
}

async function settle(event: ClaimedEvent, verdict: Verdict, deps: Dependencies): Promise<void> {
  const { outbox, audit } = deps;
  if (verdict.outcome === 'delivered') {
    await outbox.delivered(event);
    return;
  }
  const { reason } = verdict;
  if (verdict.outcome === 'rejected') {
    // Another process may have delivered it, if this one was too slow.
    if (!(await outbox.rejected(event, reason))) return;
    const { streamId: stream, consentId: consent, jti } = event;
    audit.record({
      ...{ type: 'security_event.lost', outcome: 'error', actor: { type: 'system' } },
      detail: { stream, consent, jti, reason },
    });
    return;
  }
  const { concerns } = verdict;
  const { longestRetryMs } = deps.limits;
  const failures = concerns === 'event' ? event.attempts : event.failures + 1;
  const delayMs = retryDelayMs(failures, longestRetryMs, deps.random());
  await outbox[concerns === 'event' ? 'postpone' : 'release'](event, { reason, delayMs });
}
