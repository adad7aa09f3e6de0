import { Problem } from '../problem.ts';

const base = 'https://same-origin.invalid';

/** Whether this is a path on our own origin, such as `/assets/logo.svg`. */
export function isOwnPath(value: string): boolean {
  if (!value.startsWith('/')) return false;
  return URL.canParse(value, base) && new URL(value, base).origin === base;
}

/**
 * The address if a page may link to it, else undefined: http(s), and for the way back to native
 * applications the reverse-domain schemes of RFC 8252 §7.1. Never `javascript:`, `data:` and the like.
 */
export function linkable(value: string | undefined): string | undefined {
  if (value === undefined || !URL.canParse(value)) return undefined;
  const { protocol } = new URL(value);
  return protocol === 'https:' || protocol === 'http:' || protocol.includes('.')
    ? value
    : undefined;
}

/** The target of one of our forms; anything but our own path is a mistake of the caller. */
export function formTarget(value: string): string {
  if (!isOwnPath(value)) {
    throw new Problem('server_error', { detail: `a form must be sent to our own path` });
  }
  return value;
}

/** The target of a form that leaves for a client's redirect URI; a script address is a mistake of the caller. */
export function outwardTarget(value: string): string {
  const target = linkable(value);
  if (target === undefined) {
    throw new Problem('server_error', { detail: 'a form must not be sent to such an address' });
  }
  return target;
}
