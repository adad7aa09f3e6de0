import type Koa from 'koa';
import { currentRequest } from '../observability/request-context.ts';
import { Problem } from '../problem.ts';
import { apiPaths, isAlmostEndpoint, programPaths, routes } from './routes.ts';

/** What programs call, with certificates too (RFC 8705 §5): everything else is for browsers. */
const forPrograms = new Set<string>([
  routes.pushed_authorization_request,
  routes.token,
  routes.introspection,
  routes.revocation,
  routes.userinfo,
  routes.jwks,
  '/.well-known/openid-configuration',
  '/.well-known/oauth-authorization-server',
]);

/** Whether a path is an endpoint that no browser shows: RFC 6749 §5.2, RFC 7009 §2.2.1 and RFC 7662 §2.3 want JSON. */
export function isForPrograms(path: string): boolean {
  return forPrograms.has(path) || programPaths.some((one) => isAtOrBelow(path, one));
}

function isAtOrBelow(path: string, top: string): boolean {
  return path.startsWith(top) && (path.length === top.length || path[top.length] === '/');
}

/** Whether a path is of an API of our own. */
export function isApi(path: string): boolean {
  return apiPaths.some((one) => path.startsWith(`${one}/`));
}

/** Whether an endpoint of the engine never answers with a page. */
export function isEngineForPrograms(path: string): boolean {
  return forPrograms.has(path);
}

/** Whether nothing of ours but the engine answers a path: neither pages nor assets need looking for. */
export function isEngineEndpoint({ method, path }: { method: string; path: string }): boolean {
  const { authorization } = routes;
  if (forPrograms.has(path)) return true;
  // What is posted there goes on by GET, and that is a page's work.
  return method === 'GET' && (path === authorization || path.startsWith(`${authorization}/`));
}

/** Keeps browser pages off the listener that asks for certificates. */
export const rejectPagesOverMtls: Koa.Middleware = (ctx, next) => {
  const request = currentRequest();
  if (request?.listener === 'mtls' && !isForPrograms(ctx.path)) {
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
  [routes.pushed_authorization_request]: ['POST'],
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
