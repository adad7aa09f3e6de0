import type Koa from 'koa';
import type Provider from 'oidc-provider';

/**
 * Gives errors that are not the caller's fault to the step that makes responses of all others: it knows an absent
 * database (503) from a mistake of ours (500), and says the reference. oidc-provider would answer 500 to both.
 */
export function passOnServerErrors(provider: Provider): Koa.Middleware {
  const failures = new WeakMap<object, Error>();
  provider.on('server_error', (ctx, error) => {
    failures.set(ctx, error);
  });
  return async function passOnServerError(ctx, next) {
    await next();
    const failure = failures.get(ctx);
    // The authorization endpoint tells the client by a redirect where it can.
    if (failure !== undefined && ctx.status >= 500) throw failure;
  };
}
