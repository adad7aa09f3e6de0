import type { Context, Middleware } from 'koa';

interface Options {
  /** The endpoints that scripts of other origins may call, and of whose origins. */
  endpoints: Readonly<Record<string, 'browser' | 'any'>>;
  /** Whether a client of ours has the origin. */
  isKnown: (origin: string, whose: 'browser' | 'any') => Promise<boolean>;
}

/**
 * Tells origins that no client has nothing: neither in preflights (Fetch §4.8), which name no client, nor in errors of requests
 * whose client is not known yet. Whether the origin is that of the client which asks is the engine's to say.
 */
export function refuseStrangeOrigins({ endpoints, isKnown }: Options): Middleware {
  async function judge(
    ctx: Context,
    next: () => Promise<unknown>,
    { origin, whose }: { origin: string; whose: 'browser' | 'any' },
  ): Promise<void> {
    if (await isKnown(origin, whose)) {
      await next();
      return;
    }
    if (ctx.method === 'OPTIONS') {
      ctx.vary('Origin');
      ctx.status = 204;
      return;
    }
    try {
      await next();
    } finally {
      ctx.remove('Access-Control-Allow-Origin');
      ctx.remove('Access-Control-Expose-Headers');
    }
  }

  const known = new Map(Object.entries(endpoints));
  return (ctx, next) => {
    const { origin } = ctx.req.headers;
    const whose = origin === undefined ? undefined : known.get(ctx.path);
    return origin === undefined || whose === undefined
      ? next()
      : judge(ctx, next, { origin, whose });
  };
}
