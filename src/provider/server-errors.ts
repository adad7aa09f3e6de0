import type Koa from 'koa';
import type Provider from 'oidc-provider';
import type { Logger } from '../observability/logger.ts';

/**
 * Gives errors that are not the caller's fault to the step that makes responses of all others: it knows an absent
 * database (503) from a mistake of ours (500), logs it and says the reference. oidc-provider would answer 500 to both.
 */
export function passOnServerErrors(provider: Provider, logger: Logger): Koa.Middleware {
  const failures = new WeakMap<object, Error>();
  provider.on('server_error', (ctx, error) => {
    failures.set(ctx, error);
  });
  return async function passOnServerError(ctx, next) {
    await next();
    const failure = failures.get(ctx);
    if (failure === undefined) return;
    if (ctx.status >= 500) throw failure;
    // The authorization endpoint told the client by a redirect.
    logger.error('Request failed', { status: ctx.status, error: failure });
  };
}
