import type { Context, Middleware } from 'koa';
import { Problem } from '../problem.ts';

/**
 * Ends the wait for a request that is not answered in time, whoever is waited for: Problem('temporarily_unavailable'). What
 * goes on for it comes to its own end, and what it has to say then is nobody's any more.
 */
export function boundTime(milliseconds: number): Middleware {
  return (ctx, next) =>
    new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        giveUp(ctx, milliseconds, reject);
      }, milliseconds).unref();
      next().then(
        () => {
          clearTimeout(timer);
          resolve();
        },
        (error: unknown) => {
          clearTimeout(timer);
          reject(error instanceof Error ? error : new Error(String(error)));
        },
      );
    });
}

function giveUp(ctx: Context, milliseconds: number, reject: (problem: Problem) => void): void {
  // Its body may be on its way still.
  if (!ctx.headerSent) ctx.set('Connection', 'close');
  const detail = `the request took longer than ${String(milliseconds)} ms`;
  reject(new Problem('temporarily_unavailable', { detail }));
}
