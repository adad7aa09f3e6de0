import type Koa from 'koa';
import { isEngineEndpoint, isEngineForPrograms } from './doors.ts';

/** A step that only requests for `paths` pass: to all others it costs not even a promise. */
export function stepAt(paths: readonly string[], step: Koa.Middleware): Koa.Middleware {
  const wanted = new Set(paths);
  return (ctx, next) => (wanted.has(ctx.path) ? step(ctx, next) : next()) as Promise<void>;
}

/** A step left out where the engine alone answers, and no page: looking for one would be a part of every token's cost. */
export function stepUnlessEngine(step: Koa.Middleware): Koa.Middleware {
  return (ctx, next) => (isEngineEndpoint(ctx) ? next() : step(ctx, next)) as Promise<void>;
}

/** A step of the engine's that is about pages, left out at endpoints that only programs call. */
export function stepAtPages(step: Koa.Middleware): Koa.Middleware {
  return (ctx, next) => (isEngineForPrograms(ctx.path) ? next() : step(ctx, next)) as Promise<void>;
}
