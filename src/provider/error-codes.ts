import type Koa from 'koa';
import type { KoaContextWithOIDC, errors } from 'oidc-provider';

/** What oidc-provider says of a grant type that the client may not use. */
const notAllowed = 'requested grant type is not allowed for this client';

/** The code of an error of oidc-provider as the caller sees it; `server_error` for any other. */
export function codeOf(error: errors.OIDCProviderError | Error): string {
  if (!('error' in error)) return 'server_error';
  return error.error_description === notAllowed ? 'unauthorized_client' : error.error;
}

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
  if (body?.error_description !== notAllowed) return;
  ctx.body = { ...body, error: 'unauthorized_client' };
};
