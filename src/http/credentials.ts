import type { Context } from 'koa';
import { Problem } from '../problem.ts';

const bearer = /^Bearer +([\w.~+/-]{1,8192}=*)$/i;

/** The token of `Authorization: Bearer` (RFC 6750 §2.1). Problem('invalid_request') for several headers. */
export function bearerIn(ctx: Context): string | undefined {
  return bearer.exec(authorizationIn(ctx))?.[1];
}

const basic = /^Basic +([\w+/-]{1,1024}={0,2})$/i;

/**
 * Client id and secret of `Authorization: Basic`; both parts are form-encoded within (RFC 6749 §2.3.1).
 * Problem('invalid_request') for several headers.
 */
export function basicIn(ctx: Context): { id: string; secret: string } | undefined {
  const encoded = basic.exec(authorizationIn(ctx))?.[1];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  if (colon < 1) return undefined;
  try {
    return { id: decoded(text.slice(0, colon)), secret: decoded(text.slice(colon + 1)) };
  } catch {
    return undefined;
  }
}

/** Node takes the first of several without a word; who is in front of us may have looked at another. */
function authorizationIn(ctx: Context): string {
  const [first = '', ...others] = ctx.req.headersDistinct['authorization'] ?? [];
  if (others.length === 0) return first;
  throw new Problem('invalid_request', { detail: 'several Authorization headers' });
}

function decoded(part: string): string {
  return decodeURIComponent(part.replaceAll('+', ' '));
}
