import type Koa from 'koa';
import { z } from 'zod';
import { bounds } from '../bounds.ts';
import { readJsonText } from '../http/body.ts';
import { basicIn, bearerIn } from '../http/credentials.ts';
import { failureOf, reasonOf } from '../http/failure.ts';
import { currentRequest } from '../observability/request-context.ts';
import { Problem, problems } from '../problem.ts';
import type { ProblemCode } from '../problem.ts';
import type { AuthorizeClient, CertificateOf } from '../security/client-access.ts';
import { parseJsonObject } from '../security/strict-json.ts';
import type { AuthenticateServer, Recorder } from './event-ports.ts';
import type { PollRequest, Polls } from './poll.ts';
import type { Receiver } from './security-event.ts';

/** Where receivers poll: their one stream, or the one that is named behind it. */
const pollPath = '/events/v1/poll';

/** The scope of a client's token that opens it. */
const pollScope = 'events';

/** Signing them takes a tenth of a second. */
const maxEvents = 100;

const jti = z.uuid();

const pollRequest = z.strictObject({
  maxEvents: z.int().min(0).optional(),
  returnImmediately: z.boolean().optional(),
  ack: z.array(jti).max(1000).optional(),
  setErrs: z
    .record(
      jti,
      z.strictObject({ err: z.string().max(100), description: z.string().max(1000).optional() }),
    )
    .refine((errors) => Object.keys(errors).length <= 100, 'at most 100')
    .optional(),
});

interface Dependencies {
  polls: Polls;
  authorize: AuthorizeClient;
  authenticate: AuthenticateServer;
  certificateOf: CertificateOf;
  audit: Recorder;
}

/**
 * The endpoint from which receivers fetch their events (RFC 8936). A client proves itself by a token of its own that is bound
 * to its certificate, over mTLS; a resource server as at introspection, by its secret or, without one, by its certificate.
 * Everything else passes.
 */
export function createPollApi(deps: Dependencies): Koa.Middleware {
  return async function answerPoll(ctx, next) {
    if (ctx.path !== pollPath && !ctx.path.startsWith(`${pollPath}/`)) {
      await next();
      return;
    }
    ctx.state['route'] = 'event_poll';
    ctx.set('Cache-Control', 'no-store');
    try {
      await serve(ctx, deps);
    } catch (error) {
      refuse(ctx, error, deps.audit);
    }
  };
}

async function serve(ctx: Koa.Context, deps: Dependencies): Promise<void> {
  if (ctx.method !== 'POST') {
    ctx.set('Allow', 'POST');
    throw new Problem('method_not_allowed', { detail: ctx.method });
  }
  const receiver = await receiverOf(ctx, deps);
  const request = await requestIn(ctx);
  const id = ctx.path === pollPath ? undefined : ctx.path.slice(pollPath.length + 1);
  const gone = new AbortController();
  ctx.res.once('close', () => {
    gone.abort();
  });
  ctx.body = await deps.polls.poll({ receiver, id }, request, gone.signal);
}

async function receiverOf(ctx: Koa.Context, deps: Dependencies): Promise<Receiver> {
  const credentials = basicIn(ctx);
  if (credentials !== undefined || ctx.headers.authorization === undefined) {
    const server = await deps.authenticate(ctx.req, credentials);
    if (server === undefined) throw new Problem('invalid_token', { detail: 'no resource server' });
    return { clientId: undefined, resourceServer: server.identifier };
  }
  if (currentRequest()?.listener !== 'mtls') {
    throw new Problem('invalid_token', { detail: 'clients poll over mTLS only' });
  }
  const proof = { token: bearerIn(ctx), certificate: deps.certificateOf(ctx.req) };
  return { clientId: await deps.authorize(proof, pollScope), resourceServer: undefined };
}

async function requestIn(ctx: Koa.Context): Promise<PollRequest> {
  const text = await readJsonText(ctx, bounds.eventPolls.maxBytes);
  const parsed = pollRequest.safeParse(parseJsonObject(text, bounds.eventPolls));
  if (!parsed.success) throw new Problem('invalid_request', { detail: parsed.error.message });
  const { returnImmediately = false, ack = [], setErrs = {} } = parsed.data;
  return {
    maxEvents: Math.min(parsed.data.maxEvents ?? maxEvents, maxEvents),
    returnImmediately,
    acknowledged: ack,
    refused: setErrs,
  };
}

/** In the words of RFC 8935 §2.4, which RFC 8936 shares. */
const errors: Partial<Record<ProblemCode, string>> = {
  invalid_token: 'authentication_failed',
  insufficient_scope: 'access_denied',
  event_stream_not_found: 'access_denied',
};

function refuse(ctx: Koa.Context, error: unknown, audit: Recorder): void {
  const { code, status } = failureOf(error, () => false);
  if (status >= 500) throw error;
  const request = currentRequest();
  const reason = reasonOf(error);
  if (request !== undefined) request.reason ??= reason;
  // Those are told of once for all of them: rate_limit.exceeded.
  if (code !== 'too_many_requests') {
    audit.record({
      ...{ type: 'security_event.poll_refused', outcome: 'refused', actor: { type: 'client' } },
      detail: { error: code, reason },
    });
  }
  if (code === 'invalid_token') ctx.set('WWW-Authenticate', 'Bearer error="invalid_token"');
  ctx.status = status;
  ctx.body = {
    err: errors[code] ?? 'invalid_request',
    description: problems[code],
    reference: request?.requestId ?? 'none',
  };
}
