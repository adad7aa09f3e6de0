import type Koa from 'koa';
import { bearerIn } from '../../http/credentials.ts';
import { failureOf, reasonOf } from '../../http/failure.ts';
import type { Failure } from '../../http/failure.ts';
import { currentRequest } from '../../observability/request-context.ts';
import { Problem, problems } from '../../problem.ts';
import type { AuthorizeClient, CertificateOf } from '../../security/client-access.ts';
import type { Recorder } from '../api-key-ports.ts';
import type { TermsFault } from '../api-key.ts';
import type { Handler, keyHandlers } from './api-key-handlers-api.ts';
import { findPlace, managingScope } from './api-key-places-api.ts';
import type { KeyPlace } from './api-key-places-api.ts';
import type { Faulty } from './api-key-requests-api.ts';
import type { AnswerVerification } from './api-key-verify-api.ts';

interface Dependencies {
  authorize: AuthorizeClient;
  certificateOf: CertificateOf;
  handlers: ReturnType<typeof keyHandlers>;
  answerVerification: AnswerVerification;
  audit: Recorder;
}

/** The API of keys: for their owners over mTLS, and for resource servers that verify them. Everything else passes. */
export function createApiKeyApi(deps: Dependencies): Koa.Middleware {
  return async (ctx, next) => {
    const place = findPlace(ctx.path);
    if (place === undefined) {
      await next();
      return;
    }
    ctx.state['route'] =
      place === 'none' || place.name !== 'verify' ? 'api_keys' : 'api_key_verify';
    ctx.set('Cache-Control', 'no-store');
    try {
      if (place === 'none') throw new Problem('not_found', { detail: ctx.path });
      const faulty = await serve(ctx, place, deps);
      if (faulty !== undefined) refuseFaulty(ctx, faulty, deps);
    } catch (error) {
      refuse(ctx, { error, scheme: schemeAt(place) }, deps);
    }
  };
}

async function serve(
  ctx: Koa.Context,
  place: KeyPlace,
  { authorize, certificateOf, handlers, answerVerification }: Dependencies,
): Promise<Faulty | undefined> {
  if (place.name === 'verify') {
    methodIn(ctx, { POST: answerVerification });
    return answerVerification(ctx);
  }
  if (currentRequest()?.listener !== 'mtls') {
    throw new Problem('not_found', { detail: 'keys are managed over mTLS only' });
  }
  const handle: Handler = methodIn(ctx, handlers[place.name]);
  const certificate = certificateOf(ctx.req);
  const clientId = await authorize({ token: bearerIn(ctx), certificate }, managingScope);
  return handle(ctx, { clientId, id: place.name === 'keys' ? '' : place.id });
}

function methodIn<T>(ctx: Koa.Context, methods: Readonly<Partial<Record<string, T>>>): T {
  const found = Object.hasOwn(methods, ctx.method) ? methods[ctx.method] : undefined;
  if (found !== undefined) return found;
  ctx.set('Allow', Object.keys(methods).join(', '));
  throw new Problem('method_not_allowed', { detail: ctx.method });
}

const basicChallenge = 'Basic realm="api-keys"';

function schemeAt(place: KeyPlace | 'none'): 'Basic' | 'Bearer' {
  return place !== 'none' && place.name === 'verify' ? 'Basic' : 'Bearer';
}

function refuse(
  ctx: Koa.Context,
  { error, scheme }: { error: unknown; scheme: 'Basic' | 'Bearer' },
  { audit }: Pick<Dependencies, 'audit'>,
): void {
  const failure = failureOf(error, () => false);
  if (failure.status >= 500) throw error;
  const { code } = failure;
  if (code === 'invalid_token' || code === 'insufficient_scope') {
    const challenge = scheme === 'Basic' ? basicChallenge : `Bearer error="${code}"`;
    ctx.set('WWW-Authenticate', challenge);
  }
  answer(ctx, { failure, faults: [], reason: reasonOf(error) }, audit);
}

function refuseFaulty(
  ctx: Koa.Context,
  { faults }: Faulty,
  { audit }: Pick<Dependencies, 'audit'>,
) {
  const reason = faults.map(({ path, message }) => `${path}: ${message}`).join('; ');
  answer(ctx, { failure: { code: 'api_key_invalid', status: 400 }, faults, reason }, audit);
}

interface Refused {
  failure: Failure;
  faults: readonly TermsFault[];
  reason: string;
}

/** A problem document (RFC 9457); the whole reason goes to log and audit trail. */
function answer(ctx: Koa.Context, { failure, faults, reason }: Refused, audit: Recorder): void {
  const { code, status } = failure;
  const request = currentRequest();
  if (request !== undefined) request.reason ??= reason;
  // Those are told of once for all of them: rate_limit.exceeded.
  if (code !== 'too_many_requests') {
    audit.record({
      ...{ type: 'api_key.request_refused', outcome: 'refused', actor: { type: 'client' } },
      detail: { method: ctx.method, error: code, reason },
    });
  }
  ctx.status = status;
  ctx.type = 'application/problem+json; charset=utf-8';
  ctx.body = JSON.stringify({
    type: `urn:countersign:problem:${code}`,
    title: problems[code],
    ...{ status, code, reference: request?.requestId ?? 'none' },
    ...(faults.length === 0
      ? {}
      : { errors: faults.map(({ path, message }) => ({ path, detail: message })) }),
  });
}
