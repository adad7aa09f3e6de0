import type Koa from 'koa';
import type { KoaContextWithOIDC } from 'oidc-provider';

/**
 * oidc-provider calls a grant type that the client may not use an invalid request; RFC 6749 §5.2 has a code of its own
 * for it, which tells a developer where to look.
 */
export const nameUnauthorizedClients: Koa.Middleware = async function nameUnauthorizedClients(
  ctx,
  next,
) {
  await next();
  const route = (ctx as Partial<KoaContextWithOIDC>).oidc?.route;
  const body = ctx.body as { error?: string; error_description?: string } | undefined;
  if (route !== 'token' || ctx.status !== 400) return;
  if (body?.error_description !== 'requested grant type is not allowed for this client') return;
  ctx.body = { ...body, error: 'unauthorized_client' };
};
