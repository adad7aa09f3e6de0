import { Problem } from '../problem.ts';

/** JWS algorithms that a stream's events may be signed with. */
export const streamAlgorithms = ['RS256', 'PS256', 'ES256', 'EdDSA'] as const;
export type StreamAlgorithm = (typeof streamAlgorithms)[number];

/** Whose events these are: a client hears of its own consents, a resource server of those under its scopes. */
export interface Receiver {
  clientId: string | undefined;
  resourceServer: string | undefined;
}

/** Who is told of changes to consents, and how. */
export interface EventStream extends Receiver {
  id: string;
  /** Pushed to `endpoint` (RFC 8935), or fetched (RFC 8936). */
  delivery: 'push' | 'poll';
  endpoint: string | undefined;
  algorithm: StreamAlgorithm;
  status: 'enabled' | 'paused';
  source: 'operator' | 'file';
}

/** A stream to be kept, with the Authorization header that its receiver wants. */
export interface StreamDraft extends Omit<EventStream, 'status'> {
  authorization: string | undefined;
}

const idShape = /^[\w.-]{1,64}$/;
/** RFC 9110 §11.4: a scheme and what belongs to it. */
const authorizationShape = /^[\x21-\x7e]+(?: [\x21-\x7e]+)+$/;

/** Whether `value` could be a stream's id. */
export function isStreamId(value: string): boolean {
  return idShape.test(value);
}

/** The draft, if it can be kept. Problem('event_stream_invalid') names every fault at once. */
export function checkStream(draft: StreamDraft): StreamDraft {
  const faults = [
    ...(isStreamId(draft.id) ? [] : ['the id has 1 to 64 letters, digits, ".", "_" or "-"']),
    ...((draft.clientId === undefined) === (draft.resourceServer === undefined)
      ? ['it is for one client or one resource server']
      : []),
    ...(draft.delivery === 'push' ? pushFaults(draft) : pollFaults(draft)),
  ];
  if (faults.length === 0) return draft;
  throw new Problem('event_stream_invalid', { detail: faults.join('; ') });
}

function pushFaults({ endpoint, authorization }: StreamDraft): string[] {
  const url = endpoint === undefined ? null : URL.parse(endpoint);
  const isFit = url?.protocol === 'https:' && url.username === '' && url.hash === '';
  const isSecret =
    authorization === undefined ||
    (authorizationShape.test(authorization) && authorization.length <= 4096);
  return [
    ...(isFit ? [] : ['push needs an https URL without user information and fragment']),
    ...(isSecret ? [] : ['the authorization is a scheme, a space and visible ASCII letters']),
  ];
}

function pollFaults({ endpoint, authorization }: StreamDraft): string[] {
  const isBare = endpoint === undefined && authorization === undefined;
  return isBare ? [] : ['a stream that is polled has neither an endpoint nor an authorization'];
}

/** One step in the life of a consent that one receiver is told of. */
export interface ConsentEvent {
  /** The same at every attempt: by it a receiver drops doubles. */
  jti: string;
  /** When it came into the outbox. */
  createdAt: Date;
  /** The client's id or the resource server's identifier. */
  audience: string;
  algorithm: StreamAlgorithm;
  consentId: string;
  /** The consent's version after the step. */
  version: number;
  /** "create", "authorise", "revoke", …: the move in the consent's history. */
  move: string;
  /** The state after it. */
  state: string;
  at: Date;
  /** "customer", "client", "operator" or "system". */
  by: string;
  reason: string | null;
  requestId: string | null;
  clientId: string;
  consentType: string;
}

/** What the URI of every event begins with; the move follows. */
const eventPrefix = 'urn:countersign:event:consent:';

/** Their reason is the bank's own name for a payment. */
const movesWithoutReason: readonly string[] = ['consume'];

/**
 * The claims of a Security Event Token (RFC 8417 §2.2, `sub_id` by RFC 9493 §3.2.4). No event of CAEP or RISC says that
 * somebody's permission has changed, so the event is ours. It has ids alone: who the customer is, is not in it.
 */
export function claimsOf(event: ConsentEvent, issuer: string): Record<string, unknown> {
  const { consentId, version, state, consentType, clientId, by } = event;
  const reason = movesWithoutReason.includes(event.move) ? null : event.reason;
  return {
    iss: issuer,
    aud: event.audience,
    iat: seconds(event.createdAt),
    jti: event.jti,
    toe: seconds(event.at),
    txn: event.requestId ?? `${consentId}:${String(version)}`,
    sub_id: { format: 'opaque', id: consentId },
    events: {
      [eventPrefix + event.move]: {
        ...{ state, version, type: consentType, client_id: clientId, initiated_by: by },
        ...(reason === null ? {} : { reason }),
      },
    },
  };
}

function seconds(moment: Date): number {
  return Math.floor(moment.getTime() / 1000);
}

/**
 * What a receiver's answer means: taken; refused for good; or to be tried again, for `event` alone or for all of the
 * receiver's, because it is the receiver that does not work.
 */
export type Verdict =
  | { outcome: 'delivered' }
  | { outcome: 'rejected'; reason: string }
  | { outcome: 'failed'; concerns: 'event' | 'receiver'; reason: string };

/** RFC 8935 §2.4: what a receiver says of the token itself, and would say again. */
const finalErrors = ['invalid_request', 'invalid_issuer', 'invalid_audience'];
/** What someone may mend: a secret that was replaced, a key set that was fetched too early. */
const mendableErrors = ['invalid_key', 'authentication_failed', 'access_denied'];
/** Of these the next event may be free. */
const statusesOfOneEvent = [400, 413, 422];

/** Judges the answer to a push by its status and the `err` of its body (RFC 8935 §2.2 to §2.4). */
export function verdictOf(status: number, error: string | undefined): Verdict {
  if (status === 202) return { outcome: 'delivered' };
  const reason = error === undefined ? `status ${String(status)}` : error;
  if (status === 400 && error !== undefined) {
    if (finalErrors.includes(error)) return { outcome: 'rejected', reason };
    if (mendableErrors.includes(error)) {
      return { outcome: 'failed', concerns: 'receiver', reason };
    }
  }
  const concerns = statusesOfOneEvent.includes(status) ? 'event' : 'receiver';
  return { outcome: 'failed', concerns, reason };
}

const errorShape = /^[\w.:/-]{1,64}$/;

/** An error code that a receiver sent, if it is one; it is kept and shown. */
export function errorCodeIn(value: unknown): string | undefined {
  return typeof value === 'string' && errorShape.test(value) ? value : undefined;
}

const firstRetryMs = 500;

/**
 * Milliseconds to wait after the `failures`th failure in a row: twice as long each time up to `longestMs`, of which up to a
 * half is taken off by `random` (0 to 1), so that what failed together does not come back together.
 */
export function retryDelayMs(failures: number, longestMs: number, random: number): number {
  const doubled = firstRetryMs * 2 ** Math.min(Math.max(failures - 1, 0), 30);
  return Math.round(Math.min(doubled, longestMs) * (1 - random / 2));
}
