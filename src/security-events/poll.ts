import { setTimeout as wait } from 'node:timers/promises';
import { Problem } from '../problem.ts';
import type { DeliveryMetrics, OutboxChanges, Recorder, SignToken } from './event-ports.ts';
import { createEventTokens } from './event-tokens.ts';
import type { Outbox } from './outbox-store.ts';
import { errorCodeIn } from './security-event.ts';
import type { EventStream, Receiver } from './security-event.ts';
import type { EventStreamStore } from './stream-store.ts';

/** What a receiver asks for (RFC 8936 §2.2). */
export interface PollRequest {
  /** 0 only acknowledges. */
  maxEvents: number;
  returnImmediately: boolean;
  /** Events that it has, by `jti`. */
  acknowledged: readonly string[];
  /** Events that it will never take. */
  refused: Readonly<Record<string, { err: string }>>;
}

/** RFC 8936 §2.3. */
export interface PollAnswer {
  /** `jti` → Security Event Token. */
  sets: Record<string, string>;
  moreAvailable?: true;
}

/** Polls of receivers. */
export interface Polls {
  /**
   * Settles what the receiver says it has, then gives what waits for it: of each consent the next event alone, so that the
   * order holds whatever it does with them. Where nothing waits, it waits for something, until `over`. Without `id` the
   * receiver's one stream is meant. Problem('event_stream_not_found') where that is none or not the receiver's own.
   */
  poll(
    stream: { receiver: Receiver; id: string | undefined },
    request: PollRequest,
    over: AbortSignal,
  ): Promise<PollAnswer>;
  /** Answers everybody who waits, from now on at once. */
  release(): void;
}

interface Dependencies {
  issuer: string;
  streams: Pick<EventStreamStore, 'listOf'>;
  outbox: Pick<Outbox, 'heads' | 'acknowledge' | 'refuse'>;
  sign: SignToken;
  changes: OutboxChanges;
  /** How long a poll waits for an event. */
  waitMs: number;
  metrics: DeliveryMetrics;
  audit: Recorder;
}

/** Between two looks while somebody waits, where changes may not be heard. */
const lookMs = 1000;

/** Of one stream, on this process; whoever comes besides is answered at once. */
const mostWaiting = 2;

/** Answers polls (RFC 8936). */
export function createPolls(deps: Dependencies): Polls {
  const { streams, outbox, waitMs } = deps;
  const tokensOf = createEventTokens(deps);
  const waiting = createWaiting(deps.changes);

  async function streamOf(receiver: Receiver, id: string | undefined): Promise<EventStream> {
    const own = (await streams.listOf(receiver)).filter(({ delivery }) => delivery === 'poll');
    const meant = id === undefined ? own : own.filter((stream) => stream.id === id);
    const [stream, ...others] = meant;
    if (stream !== undefined && others.length === 0) return stream;
    const detail = stream === undefined ? `no stream ${id ?? ''} to poll` : 'several: name one';
    throw new Problem('event_stream_not_found', { detail });
  }

  async function answer(stream: EventStream, maxEvents: number): Promise<PollAnswer> {
    const { events, more } = await outbox.heads(stream.id, maxEvents);
    return { sets: await tokensOf(events), ...(more ? { moreAvailable: true } : {}) };
  }

  return {
    async poll({ receiver, id }, { maxEvents, returnImmediately, ...told }, over) {
      const stream = await streamOf(receiver, id);
      await settle(stream, told, deps);
      // What comes while we look is heard: the change is waited for from before the look on.
      let change = waiting.change();
      const first = await answer(stream, maxEvents);
      const isWorthIt = maxEvents > 0 && !returnImmediately && Object.keys(first.sets).length === 0;
      if (!isWorthIt || !waiting.enter(stream.id)) return first;
      const until = AbortSignal.any([over, AbortSignal.timeout(waitMs)]);
      try {
        let found = first;
        while (Object.keys(found.sets).length === 0 && (await waiting.until(change, until))) {
          change = waiting.change();
          found = await answer(stream, maxEvents);
        }
        return found;
      } finally {
        waiting.leave(stream.id);
      }
    },

    release() {
      waiting.close();
    },
  };
}

async function settle(
  { id }: EventStream,
  { acknowledged, refused }: Pick<PollRequest, 'acknowledged' | 'refused'>,
  { outbox, metrics, audit }: Dependencies,
): Promise<void> {
  const delivery = 'poll';
  if (acknowledged.length > 0) {
    const settled = await outbox.acknowledge(id, acknowledged);
    metrics.securityEventDeliveries.increment({ delivery, outcome: 'delivered' }, settled);
  }
  const reasons = Object.entries(refused).map(
    ([jti, { err }]) => [jti.toLowerCase(), errorCodeIn(err) ?? 'refused'] as const,
  );
  if (reasons.length === 0) return;
  for (const { consentId, jti, reason } of await outbox.refuse(id, Object.fromEntries(reasons))) {
    metrics.securityEventDeliveries.increment({ delivery, outcome: 'rejected' });
    audit.record({
      ...{ type: 'security_event.lost', outcome: 'error', actor: { type: 'system' } },
      detail: { stream: id, consent: consentId, jti, reason },
    });
  }
}

/** Who waits for an event. */
function createWaiting(changes: OutboxChanges) {
  const counts = new Map<string, number>();
  const closing = new AbortController();
  let wake = new AbortController();
  changes.subscribe('security-events', () => {
    wake.abort();
    wake = new AbortController();
  });

  return {
    /** False where too many wait already, or nobody is to. */
    enter(streamId: string): boolean {
      const count = counts.get(streamId) ?? 0;
      if (count >= mostWaiting || closing.signal.aborted) return false;
      counts.set(streamId, count + 1);
      return true;
    },
    leave(streamId: string): void {
      const left = (counts.get(streamId) ?? 1) - 1;
      if (left === 0) counts.delete(streamId);
      else counts.set(streamId, left);
    },
    /** Aborted by the next change from now on. */
    change: (): AbortSignal => wake.signal,
    /** Waits for the next moment in which it is worth to look, which is `change` at the latest; false when it is over. */
    async until(change: AbortSignal, end: AbortSignal): Promise<boolean> {
      const over = AbortSignal.any([end, closing.signal]);
      const signal = AbortSignal.any([over, change]);
      await wait(lookMs, undefined, { signal, ref: false }).catch(() => undefined);
      return !over.aborted;
    },
    close(): void {
      closing.abort();
    },
  };
}
