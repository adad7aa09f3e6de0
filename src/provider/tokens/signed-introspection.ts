import { decodeJwt } from 'jose';
import type Koa from 'koa';
import { errors } from 'oidc-provider';
import type Provider from 'oidc-provider';
import type { KoaContextWithOIDC } from 'oidc-provider';
import type { Share } from '../ports.ts';
import { signsMessages } from '../requests/security-profile.ts';

/** RFC 9701 §5. */
const mediaType = 'application/token-introspection+jwt';

/** Introspection answered by a signed JWT, for the resource servers that accept one (RFC 9701). */
export function signedIntrospectionShare(): Share {
  return { features: { jwtIntrospection: { enabled: true } } };
}

/**
 * Refuses an unsigned answer to resource servers of the message signing profile: what they rely on is to be provable
 * later, also where they forgot to ask for it.
 */
export function demandSignedIntrospection(provider: Provider): Koa.Middleware {
  const emitter: NodeJS.EventEmitter = provider;
  return async function refuseUnsignedIntrospection(context, next) {
    await next();
    const ctx = context as unknown as KoaContextWithOIDC;
    const oidc = (ctx as Partial<KoaContextWithOIDC>).oidc;
    if (oidc?.route !== 'introspection' || ctx.status !== 200) return;
    if (!signsMessages(oidc.client) || isSigned(ctx)) return;
    const description = `Accept must name ${mediaType}`;
    ctx.status = 400;
    ctx.body = { error: 'invalid_request', error_description: description };
    emitter.emit('introspection.error', ctx, new errors.InvalidRequest(description));
  };
}

function isSigned(ctx: Koa.Context | KoaContextWithOIDC): boolean {
  return ctx.response.is(mediaType) === mediaType;
}

/** Whether an introspection answer, signed or not, says that the token is good. */
export function isActiveAnswer(body: unknown): boolean {
  const answer = typeof body === 'string' ? decodeJwt(body)['token_introspection'] : body;
  return (answer as { active?: unknown } | undefined)?.active === true;
}
