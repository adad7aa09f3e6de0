import type { Context, Middleware } from 'koa';
import type { Logger } from '../observability/logger.ts';
import { Problem } from '../problem.ts';

/**
 * Ends the wait for a request that is not answered in time, whoever is waited for: Problem('request_given_up'). What goes on
 * for it comes to its own end, and may change something all the same: how it fails then is nobody's answer, but is logged.
 */
export function boundTime(milliseconds: number, logger: Logger): Middleware {
  return (ctx, next) =>
    new Promise<void>((resolve, reject) => {
      let isGivenUp = false;
      const timer = setTimeout(() => {
        isGivenUp = true;
        giveUp(ctx, milliseconds, reject);
      }, milliseconds).unref();
      next().then(
        () => {
          clearTimeout(timer);
          resolve();
        },
        (error: unknown) => {
          clearTimeout(timer);
          if (isGivenUp) tellLate(logger, error);
          else reject(error instanceof Error ? error : new Error(String(error)));
        },
      );
    });
}

function giveUp(ctx: Context, milliseconds: number, reject: (problem: Problem) => void): void {
  if (!ctx.headerSent) {
    ctx.set('Connection', 'close'); // its body may be on its way still
    // The engine sets them before it knows the client, and the step that judges the origin waits too.
    ctx.remove('Access-Control-Allow-Origin');
    ctx.remove('Access-Control-Expose-Headers');
  }
  const detail = `the request took longer than ${String(milliseconds)} ms`;
  reject(new Problem('request_given_up', { detail }));
}

function tellLate(logger: Logger, error: unknown): void {
  // What it wanted to say comes after the answer: nothing went wrong.
  if (error instanceof Error && 'code' in error && error.code === 'ERR_HTTP_HEADERS_SENT') return;
  logger.warn('A request that was given up failed', { error });
}
