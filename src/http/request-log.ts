import { randomUUID } from 'node:crypto';
import type { Context, Middleware } from 'koa';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import { alreadyRedacted } from '../observability/redact.ts';
import { redacted, redactText } from '../observability/redact-text.ts';
import { runWithRequest, type RequestContext } from '../observability/request-context.ts';
import { listenerOf } from './listener-name.ts';

const uuid = /^[\da-f]{8}-[\da-f]{4}-[1-8][\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/i;
const maxPathLength = 256;

/** The longest name in our own paths has 26 letters; identifiers of sign-ins, codes and tokens have 43. */
const secretSegment = /[^/]{33,}/g;
/** A path of one such segment is longer. */
const maxOwnPathLength = 33;

/** The path for log and audit: an interaction's identifier is its cookie's value, and some send tokens in a path. */
function loggedPath(path: string): string {
  return path.length <= maxOwnPathLength
    ? path
    : path.replace(secretSegment, redacted).slice(0, maxPathLength);
}

/** IPv4 addresses as such, also on a socket that takes both families. */
function addressOf(ctx: Context): string {
  const address = ctx.req.socket.remoteAddress ?? 'unknown';
  return address.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address;
}

function contextOf(ctx: Context): RequestContext {
  return {
    requestId: randomUUID(),
    address: addressOf(ctx),
    listener: listenerOf(ctx.req) ?? 'public',
    method: ctx.method,
    path: loggedPath(ctx.path),
    events: [],
  };
}

/** FAPI 1.0 Part 1 §6.2.1: the caller's x-fapi-interaction-id comes back; ours is x-request-id. */
function echoIdentifiers(ctx: Context, requestId: string): void {
  ctx.res.setHeader('X-Request-Id', requestId);
  const interactionId = ctx.req.headers['x-fapi-interaction-id'];
  if (typeof interactionId === 'string' && uuid.test(interactionId)) {
    ctx.set('X-Fapi-Interaction-Id', interactionId);
  }
}

/** What the request's line tells of the audit; what is recorded from now on has a line of its own. */
function takeEvents(request: RequestContext): object | undefined {
  const { events = [] } = request;
  request.events = undefined;
  return events.length === 0 ? undefined : events;
}

/** A name from our own route records or the provider's, never the path, which callers choose. */
function routeOf(ctx: Context): string {
  const { state, oidc } = ctx as { state: { route?: unknown }; oidc?: { route?: unknown } };
  const route = state.route ?? oidc?.route;
  return typeof route === 'string' ? route : 'other';
}

/**
 * The outermost step: gives the request its identifier, runs everything inside its request context, and leaves one log line,
 * with the audit events of the request, and one measurement behind. The query is never logged: it carries codes and state.
 */
export function requestLog({
  logger,
  metrics,
}: {
  logger: Logger;
  metrics: Pick<Metrics, 'httpRequestSeconds'>;
}): Middleware {
  const finish = (ctx: Context, request: RequestContext, startedAt: number): void => {
    const milliseconds = performance.now() - startedAt;
    const route = routeOf(ctx);
    metrics.httpRequestSeconds.observe(
      { route, method: request.method, status: String(ctx.status) },
      milliseconds / 1000,
    );
    // What callers write is redacted here, the events were; the rest is our own.
    const line = {
      method: request.method,
      path: redactText(request.path),
      route,
      status: ctx.status,
      milliseconds: Math.round(milliseconds * 10) / 10,
      listener: request.listener,
      reason: request.reason === undefined ? undefined : redactText(request.reason),
      events: takeEvents(request),
    };
    logger.info('Request', alreadyRedacted(line));
  };
  return (ctx, next) => {
    const startedAt = performance.now();
    const request = contextOf(ctx);
    return runWithRequest(request, async () => {
      echoIdentifiers(ctx, request.requestId);
      try {
        await next();
      } finally {
        finish(ctx, request, startedAt);
      }
    });
  };
}
