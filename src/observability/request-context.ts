import { AsyncLocalStorage } from 'node:async_hooks';

/** What every log line and audit row says about the request that it belongs to. */
export interface RequestContext {
  /** Our own UUID, also shown to the caller as the reference of an error. */
  requestId: string;
  /** Network address of the peer. */
  address: string;
  listener: 'public' | 'mtls';
  method: string;
  /** Without the query, which may carry codes and tokens. */
  path: string;
  /** A proxy of ours brought it. */
  proxied?: boolean;
  /** The full inner cause of a refusal, for log and audit; never sent to the caller. */
  reason?: string;
  /**
   * Audit events, redacted, for the request's own log line to tell. Undefined where no line will come or it is written
   * already: then every event has a line of its own.
   */
  events?: Record<string, unknown>[] | undefined;
}

const storage = new AsyncLocalStorage<RequestContext | undefined>();

/** Runs `work` and everything that it awaits inside `context`; gives back what `work` gives back. */
export function runWithRequest<T>(context: RequestContext, work: () => T): T {
  return storage.run(context, work);
}

/** Runs shared background work, so that it isn't logged under the request that happened to start it. */
export function runWithoutRequest<T>(work: () => T): T {
  return storage.run(undefined, work);
}

/** The request that the running code works for; undefined in background work. */
export function currentRequest(): RequestContext | undefined {
  return storage.getStore();
}
