import type { EventStream } from '../security-events/security-event.ts';
import type { StreamHealth } from '../security-events/stream-store.ts';
import { fields, table } from './output.ts';
import type { Answer } from './output.ts';

/** All streams, a line each. */
export function streamList(streams: readonly EventStream[]): Answer {
  const rows = streams.map((stream) => [
    ...[stream.id, receiverOf(stream), stream.delivery, stream.endpoint ?? ''],
    ...[stream.status, stream.source],
  ]);
  const text = table(['ID', 'RECEIVER', 'DELIVERY', 'ENDPOINT', 'STATUS', 'SOURCE'], rows);
  return { json: { streams: streams.map(asJson) }, text };
}

/** One stream; its secret is never shown. */
export function streamDetails(stream: EventStream): Answer {
  return { json: { stream: asJson(stream) }, text: fields({ ...stream }) };
}

/** One stream and how it does. */
export function streamHealth(stream: EventStream, health: StreamHealth): Answer {
  const { oldestPendingAt, retryAt, lastDeliveredAt, ...counts } = health;
  return {
    json: {
      stream: asJson(stream),
      health: {
        ...counts,
        reason: counts.reason ?? null,
        oldestPendingAt: oldestPendingAt?.toISOString() ?? null,
        retryAt: retryAt?.toISOString() ?? null,
        lastDeliveredAt: lastDeliveredAt?.toISOString() ?? null,
      },
    },
    text: fields({
      ...{ id: stream.id, receiver: receiverOf(stream), status: stream.status },
      ...{ waiting: health.pending, 'waiting since': oldestPendingAt },
      ...{ 'failures in a row': health.failures, 'tried again': retryAt, because: health.reason },
      'last delivered': lastDeliveredAt,
      ...{ 'delivered this week': health.delivered, rejected: health.rejected },
      'given up': health.expired,
    }),
  };
}

/** What was done to a stream. */
export function streamDone(done: string, stream: EventStream): Answer {
  return { json: { stream: asJson(stream) }, text: `The event stream ${stream.id} is ${done}.` };
}

function receiverOf({ clientId, resourceServer }: EventStream): string {
  return clientId ?? resourceServer ?? '';
}

/** `undefined` members are left out of JSON; a stable shape says null. */
function asJson({ clientId, resourceServer, endpoint, ...stream }: EventStream) {
  return {
    ...stream,
    clientId: clientId ?? null,
    resourceServer: resourceServer ?? null,
    endpoint: endpoint ?? null,
  };
}
