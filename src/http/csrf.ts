import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

import { Problem } from '../problem.ts';

export interface Csrf {
  /** A token for a form that belongs to `binding`, such as the interaction and its cookie. */
  token(binding: string): string;
  /** Throws `csrf_mismatch` unless `token` was made for this binding with one of the keys. */
  verify(binding: string, token: unknown): void;
}

const minKeyBytes = 32;
const saltBytes = 16;
const macBytes = 32;

/**
 * Tokens are base64url of a salt and its HMAC-SHA-256 over salt and binding. The salt makes each
 * page's token different, so that compression can't give it away (BREACH). Nothing is stored.
 * `key` makes tokens; `older` ones verify too, so that a change of keys refuses no form on its way.
 */
export function createCsrf(key: Buffer, ...older: readonly Buffer[]): Csrf {
  const keys = [key, ...older];
  if (keys.some(({ length }) => length < minKeyBytes)) {
    throw new Problem('configuration_invalid', { detail: 'a CSRF key is shorter than 32 bytes' });
  }
  return {
    token(binding) {
      const salt = randomBytes(saltBytes);
      return Buffer.concat([salt, mac(key, salt, binding)]).toString('base64url');
    },
    verify(binding, token) {
      const bytes = Buffer.from(typeof token === 'string' ? token : '', 'base64url');
      const salt = bytes.subarray(0, saltBytes);
      const given = bytes.subarray(saltBytes);
      const isRight =
        given.length === macBytes &&
        keys.some((candidate) => timingSafeEqual(given, mac(candidate, salt, binding)));
      if (!isRight) throw new Problem('csrf_mismatch', { detail: 'the token does not fit' });
    },
  };
}

function mac(key: Buffer, salt: Buffer, binding: string): Buffer {
  return createHmac('sha256', key)
    .update('countersign csrf\0')
    .update(salt)
    .update(binding)
    .digest();
}

/** The part of a Koa context that tells where a request comes from. */
interface RequestOrigin {
  get(field: string): string;
}

/**
 * Throws `csrf_mismatch` when the browser says that a form was sent from elsewhere. `origin` is the
 * issuer's (`https://host[:port]`). A browser that says nothing is left to the token:
 * `Origin: null` is what our own pages send, because their Referrer-Policy is no-referrer
 * (Fetch §3.2, "append a request Origin header").
 */
export function rejectCrossSite(ctx: RequestOrigin, origin: string): void {
  const site = ctx.get('Sec-Fetch-Site');
  const isForeignSite = site !== '' && site !== 'same-origin' && site !== 'none';
  const from = ctx.get('Origin');
  const isForeignOrigin = from !== '' && from !== 'null' && from !== origin;
  if (isForeignSite || isForeignOrigin) {
    throw new Problem('csrf_mismatch', { detail: `sent from site ${site}, origin ${from}` });
  }
}
