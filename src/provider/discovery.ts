import { createHash } from 'node:crypto';
import type Koa from 'koa';
import type { KoaContextWithOIDC } from 'oidc-provider';
import {
  assertionAlgorithms,
  clientAuthMethods,
  confidentialAuthMethods,
} from './client-authentication.ts';
import type { Share } from './ports.ts';
import { routes } from './routes.ts';

/** Endpoints that clients with certificates use on the mTLS host (RFC 8705 §5). */
const aliased = {
  token_endpoint: routes.token,
  revocation_endpoint: routes.revocation,
  introspection_endpoint: routes.introspection,
  userinfo_endpoint: routes.userinfo,
};

/** Discovery members that oidc-provider does not make by itself. */
export function discoveryShare(mtlsOrigin: string): Share {
  const aliases = Object.entries(aliased).map(([name, path]) => [name, mtlsOrigin + path] as const);
  return {
    discovery: {
      mtls_endpoint_aliases: Object.fromEntries(aliases),
      // RFC 8414 §2: without them clients would believe that only client_secret_basic is good here.
      ...authenticationAt('revocation'),
      ...authenticationAt('introspection'),
    },
  };
}

function authenticationAt(endpoint: 'revocation' | 'introspection') {
  const methods = endpoint === 'revocation' ? clientAuthMethods : confidentialAuthMethods;
  return {
    [`${endpoint}_endpoint_auth_methods_supported`]: [...methods],
    [`${endpoint}_endpoint_auth_signing_alg_values_supported`]: [...assertionAlgorithms],
  };
}

/** How long resource servers may keep the key set and clients the metadata, in seconds. */
const cacheSeconds = { jwks: 300, discovery: 300 } as const;

/** Cache-Control and ETag for JWKS and discovery, and 304 for who has them. */
export const cacheMetadata: Koa.Middleware = async function cacheMetadata(ctx, next) {
  await next();
  const route = (ctx as Partial<KoaContextWithOIDC>).oidc?.route;
  if ((route !== 'jwks' && route !== 'discovery') || ctx.status !== 200) return;
  const body = JSON.stringify(ctx.body);
  ctx.set('Cache-Control', `public, max-age=${String(cacheSeconds[route])}`);
  ctx.set('ETag', `"${createHash('sha256').update(body).digest('base64url')}"`);
  if (ctx.fresh) {
    ctx.status = 304;
    ctx.body = null;
  }
};
