import type Koa from 'koa';
import { currentRequest } from '../observability/request-context.ts';
import { Problem } from '../problem.ts';
import { isAlmostEndpoint, routes } from './routes.ts';

/** What clients with certificates may reach (RFC 8705 §5): everything else is for browsers. */
const overMtls = new Set<string>([
  routes.token,
  routes.introspection,
  routes.revocation,
  routes.userinfo,
  routes.jwks,
  '/.well-known/openid-configuration',
  '/.well-known/oauth-authorization-server',
]);

/** Keeps browser pages off the listener that asks for certificates. */
export const rejectPagesOverMtls: Koa.Middleware = (ctx, next) => {
  const request = currentRequest();
  if (request?.listener === 'mtls' && !overMtls.has(ctx.path)) {
    throw new Problem('not_found', { detail: `${request.path} is not offered over mTLS` });
  }
  return next();
};

/** Answers 404 where oidc-provider would take `/TOKEN` or `/token/` for `/token`. */
export const rejectAlmostEndpoints: Koa.Middleware = (ctx, next) => {
  if (isAlmostEndpoint(ctx.path)) throw new Problem('not_found', { detail: ctx.path });
  return next();
};

const methods: Record<string, readonly string[]> = {
  [routes.authorization]: ['GET', 'POST'],
  [routes.token]: ['POST'],
  [routes.introspection]: ['POST'],
  [routes.revocation]: ['POST'],
  [routes.userinfo]: ['GET', 'POST'],
  [routes.end_session]: ['GET', 'POST'],
  [`${routes.end_session}/confirm`]: ['POST'],
  [routes.jwks]: ['GET'],
  '/.well-known/openid-configuration': ['GET'],
  '/.well-known/oauth-authorization-server': ['GET'],
};

/** The methods of an endpoint, for 405 answers; none for a path that is not one. */
export function allowedMethods(path: string): readonly string[] {
  return methods[path] ?? [];
}
