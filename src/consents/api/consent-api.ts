import { randomUUID } from 'node:crypto';
import type Koa from 'koa';
import type { AuditEntry } from '../../audit/events.ts';
import { bearerIn } from '../../http/credentials.ts';
import { failureOf, reasonOf } from '../../http/failure.ts';
import { currentRequest } from '../../observability/request-context.ts';
import { Problem, problems } from '../../problem.ts';
import type { AuthorizeClient, CertificateOf } from '../../security/client-access.ts';
import type {
  ConsentCollection,
  ConsentDialect,
  RefusalAnswer,
  RequestFault,
} from './consent-dialect-api.ts';
import { findPlace } from './consent-places-api.ts';
import type { ConsentPlace } from './consent-places-api.ts';
import type { Recorder } from '../consent-ports.ts';
import { consentHandlers } from './consent-requests-api.ts';
import type { Handler, Handlers } from './consent-requests-api.ts';
import type { AnswerServer } from './asking-server-api.ts';
import type { Lodging } from '../lodging.ts';

interface Dependencies {
  mtlsOrigin: string;
  authorize: AuthorizeClient;
  lodging: Lodging;
  certificateOf: CertificateOf;
  audit: Recorder;
  /** What resource servers ask for. */
  answers: Record<NonNullable<ConsentPlace['asked']>, AnswerServer>;
}

type Place = ConsentPlace;

/**
 * The APIs by which clients lodge, read and end consents, over mTLS, and by which resource servers ask for their state.
 * Everything else passes.
 */
export function createConsentApi(deps: Dependencies): Koa.Middleware {
  const handlers = consentHandlers(deps);
  return async (ctx, next) => {
    const place = findPlace(ctx.path);
    if (place === undefined) {
      await next();
      return;
    }
    ctx.state['route'] = place.asked === undefined ? 'consents' : `consent_${place.asked}`;
    ctx.set('Cache-Control', 'no-store');
    if (!ctx.res.hasHeader('X-Fapi-Interaction-Id')) {
      ctx.set('X-Fapi-Interaction-Id', randomUUID());
    }
    try {
      if (place.asked === undefined) await serve(ctx, place, { deps, handlers });
      else {
        const faulty = await deps.answers[place.asked](ctx, place.id ?? '');
        if (faulty !== undefined) answerFaulty(ctx, place, { ...faulty, audit: deps.audit });
      }
    } catch (error) {
      refuse(ctx, place, { error, audit: deps.audit });
    }
  };
}

async function serve(
  ctx: Koa.Context,
  place: Place,
  { deps, handlers }: { deps: Dependencies; handlers: Handlers },
): Promise<void> {
  const { dialect, collection } = place;
  if (currentRequest()?.listener !== 'mtls') {
    throw new Problem('not_found', { detail: 'consents are lodged over mTLS only' });
  }
  const handle = handlerFor(ctx, place, handlers);
  const proof = { token: bearerIn(ctx), certificate: deps.certificateOf(ctx.req) };
  const clientId = await deps.authorize(proof, lodgingScope(dialect, collection));
  const faulty = await handle(ctx, place, clientId);
  if (faulty !== undefined) answerFaulty(ctx, place, { ...faulty, audit: deps.audit, clientId });
}

/** Refuses a request for what is in it. */
function answerFaulty(
  ctx: Koa.Context,
  place: Place,
  faulty: Pick<Refused, 'faults' | 'clientId' | 'audit'>,
): void {
  const detail = faulty.faults.map(({ path, message }) => `${path}: ${message}`).join('; ');
  answerRefusal(ctx, place, { ...faulty, code: 'consent_invalid', status: 400, detail });
}

function handlerFor(ctx: Koa.Context, place: Place, handlers: Handlers): Handler {
  const { lodge, read, end } = handlers;
  const ofConsent = place.collection.isDeletable ? { GET: read, DELETE: end } : { GET: read };
  const methods: Record<string, Handler> = place.id === undefined ? { POST: lodge } : ofConsent;
  const handle = Object.hasOwn(methods, ctx.method) ? methods[ctx.method] : undefined;
  if (handle !== undefined) return handle;
  ctx.set('Allow', Object.keys(methods).join(', '));
  throw new Problem('method_not_allowed', { detail: ctx.method });
}

/** All types of a regime share a scope where they share a path. */
function lodgingScope({ regime }: ConsentDialect, { type }: ConsentCollection): string {
  return regime.lodgingScopes[type ?? 'accounts'];
}

interface Refused {
  code: Problem['code'];
  status: number;
  faults: readonly RequestFault[];
  detail: string;
  clientId?: string;
  audit: Recorder;
}

function refuse(
  ctx: Koa.Context,
  place: Place,
  { error, audit }: { error: unknown; audit: Recorder },
): void {
  const failure = failureOf(error, () => false);
  if (failure.status >= 500) throw error;
  answerRefusal(ctx, place, { ...failure, faults: [], detail: reasonOf(error), audit });
}

/** Says to the caller what its API's words allow; the whole reason goes to log and audit trail. */
function answerRefusal(ctx: Koa.Context, place: Place, refused: Refused): void {
  const { code, status, faults, detail, clientId, audit } = refused;
  const request = currentRequest();
  if (request !== undefined) request.reason ??= detail;
  // Those are told of once for all of them: rate_limit.exceeded.
  if (code !== 'too_many_requests') {
    audit.record({
      ...{ type: 'consent.refused', outcome: 'refused' },
      ...partiesOf(clientId),
      detail: { method: ctx.method, consent: place.id, error: code, reason: detail },
    });
  }
  const reference = request?.requestId ?? 'none';
  const answer: RefusalAnswer = place.dialect.refusal({
    ...{ code, status, message: problems[code], reference, faults },
  });
  if (code === 'invalid_token' || code === 'insufficient_scope') {
    const scheme = place.asked === undefined ? `Bearer error="${code}"` : 'Basic realm="consents"';
    ctx.set('WWW-Authenticate', scheme);
  }
  ctx.status = answer.status;
  ctx.type = answer.contentType;
  ctx.body = JSON.stringify(answer.body);
}

function partiesOf(clientId: string | undefined): Pick<AuditEntry, 'actor' | 'clientId'> {
  if (clientId === undefined) return { actor: { type: 'client' } };
  return { actor: { type: 'client', id: clientId }, clientId };
}
