import type { Context, Middleware } from 'koa';
import { currentRequest } from '../observability/request-context.ts';
import type { RequestContext } from '../observability/request-context.ts';
import { Problem } from '../problem.ts';
import { networkOf } from '../security/network-of.ts';
import { limitHeaders } from './limit-headers.ts';
import type { LimitedRequests } from './limited-requests.ts';
import type { EndpointGroup } from './policy.ts';
import type { Judged } from './request-limits.ts';

/** What the step stands on. */
export interface LimitStepOptions {
  requests: Pick<LimitedRequests, 'begin' | 'disprove' | 'end'>;
  /** The endpoints that a path belongs to, however it is written; undefined for what is not limited. */
  groupOf: (path: string) => EndpointGroup | undefined;
}

/**
 * Refuses requests beyond the limits of their networks, and tells everybody how much is left. Limits of who proves to
 * be somebody are asked further in; what they say is told here as well.
 */
export function limitRequests({ requests, groupOf }: LimitStepOptions): Middleware {
  async function serve(
    ctx: Context,
    next: () => Promise<unknown>,
    request: RequestContext,
  ): Promise<void> {
    let isWell = false;
    try {
      await next();
      isWell = ctx.status < 400;
      if (ctx.status === 401) requests.disprove(request, 'client');
    } finally {
      tell(ctx, requests.end(request, isWell));
    }
  }

  function answer(ctx: Context, next: () => Promise<unknown>, refusedBy: Judged | undefined) {
    const request = currentRequest();
    if (request === undefined) return next();
    if (refusedBy === undefined) return serve(ctx, next, request);
    tell(ctx, requests.end(request, false));
    throw new Problem(excessOf(refusedBy), { detail: `the limit "${refusedBy.rule.name}"` });
  }

  return (ctx, next) => {
    const request = currentRequest();
    const group = groupOf(ctx.path);
    if (request === undefined || group === undefined) return next();
    const said = requests.begin(request, group, networkOf(request.address));
    return said instanceof Promise
      ? said.then((refusedBy) => answer(ctx, next, refusedBy))
      : answer(ctx, next, said);
  };
}

/** For scripts of other origins, which may read no other headers unless they are named (Fetch §3.3.5). */
const exposed = ['RateLimit', 'RateLimit-Policy', 'Retry-After'];

/** How much is left, and to who is refused when to come back. */
function tell(ctx: Context, judged: readonly Judged[]): void {
  if (judged.length === 0 || ctx.headerSent) return;
  const { policy, limit } = limitHeaders(judged);
  ctx.res.setHeader('RateLimit-Policy', policy);
  ctx.res.setHeader('RateLimit', limit);
  if (ctx.res.hasHeader('Access-Control-Allow-Origin')) {
    ctx.append('Access-Control-Expose-Headers', exposed);
  }
  const refused = judged.find(({ verdict }) => !verdict.allowed);
  if (refused === undefined) return;
  ctx.res.setHeader('Retry-After', String(Math.max(1, refused.verdict.resetSeconds)));
}

/** The problem that a refusal is. */
export function excessOf({ verdict }: Judged): 'too_many_requests' | 'temporarily_unavailable' {
  return verdict.unavailable ? 'temporarily_unavailable' : 'too_many_requests';
}
