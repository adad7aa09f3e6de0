import type Koa from 'koa';
import { Problem } from '../problem.ts';
import { isEngineEndpoint, isEngineForPrograms } from './doors.ts';

/** A step that only requests for `paths` pass: to all others it costs not even a promise. */
export function stepAt(paths: readonly string[], step: Koa.Middleware): Koa.Middleware {
  const wanted = new Set(paths);
  return (ctx, next) => (wanted.has(ctx.path) ? step(ctx, next) : next()) as Promise<void>;
}

/** Steps left out where the engine alone answers, and no page: looking for one would be a part of every token's cost. */
export function stepsUnlessEngine(steps: readonly Koa.Middleware[]): Koa.Middleware {
  function pass(at: number, ctx: Koa.Context, next: Koa.Next): Promise<void> {
    const step = steps[at];
    return (
      step === undefined ? next() : step(ctx, () => pass(at + 1, ctx, next))
    ) as Promise<void>;
  }
  return (ctx, next) => (isEngineEndpoint(ctx) ? (next() as Promise<void>) : pass(0, ctx, next));
}

/** A step of the engine's that is about pages, left out at endpoints that only programs call. */
export function stepAtPages(step: Koa.Middleware): Koa.Middleware {
  return (ctx, next) => (isEngineForPrograms(ctx.path) ? next() : step(ctx, next)) as Promise<void>;
}

/**
 * Refuses several Authorization headers: Node takes the first without a word, and who is in front of us may have looked at
 * another. The list as it came is read, as `headersDistinct` copies every header of every token request.
 */
export const rejectSeveralCredentials: Koa.Middleware = (ctx, next) => {
  const { rawHeaders } = ctx.req;
  let seen = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (rawHeaders[at]?.toLowerCase() === 'authorization') seen += 1;
  }
  if (seen > 1) throw new Problem('invalid_request', { detail: 'several Authorization headers' });
  return next();
};
