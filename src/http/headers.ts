import type { Middleware } from 'koa';

import { Problem } from '../problem.ts';

/** What a page may do beyond the default. */
export interface PageHeaderOptions {
  /**
   * Redirect URIs (or origins) that a form on this page may end up at: Chromium applies
   * `form-action` to the redirects after a POST as well.
   */
  formActions?: readonly string[];
}

const hostPattern = /^[a-z0-9-]+(?:\.[a-z0-9-]+)*(?::\d{1,5})?$/;
const schemePattern = /^[a-z][a-z0-9+.-]*:$/;

/**
 * The part of a redirect URI that a content security policy can name: `https://host[:port]`, or
 * `scheme:` for native applications. An IPv6 literal has no form there (CSP 3 §2.3.1), so the
 * scheme stands for it. Throws `client_invalid` for anything that could end the directive.
 */
function formActionSource(redirectUri: string): string {
  const url = URL.parse(redirectUri);
  const source = url === null ? undefined : sourceOf(url);
  if (source !== undefined) return source;
  throw new Problem('client_invalid', { detail: 'a redirect URI does not fit into a policy' });
}

function sourceOf({ protocol, host, origin }: URL): string | undefined {
  const isWeb = protocol === 'https:' || protocol === 'http:';
  if (isWeb && hostPattern.test(host)) return origin;
  const isNamedByScheme = !isWeb || host.startsWith('[');
  const isHarmful = /^(?:javascript|data|blob|file|about):$/.test(protocol);
  return isNamedByScheme && !isHarmful && schemePattern.test(protocol) ? protocol : undefined;
}

function contentSecurityPolicy(formActions: readonly string[]): string {
  const sources = new Set(["'self'", ...formActions.map(formActionSource)]);
  return [
    "default-src 'none'",
    "style-src 'self'",
    "script-src 'self'",
    "img-src 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
    `form-action ${[...sources].join(' ')}`,
  ].join('; ');
}

/** Readable by other origins on purpose: keys, metadata, and what error pages of a proxy may use. */
function isShared(path: string): boolean {
  return path === '/jwks' || path.startsWith('/.well-known/') || path.startsWith('/assets/');
}

const permissionsPolicy = [
  'camera',
  'microphone',
  'geolocation',
  'payment',
  'usb',
  'display-capture',
]
  .map((feature) => `${feature}=()`)
  .join(', ');

/** What varies in {@link securityHeaders}. */
export interface SecurityHeaderOptions {
  /** 0 leaves HSTS out, because on localhost it would follow the developer into other projects. */
  hstsMaxAgeSeconds: number;
  /** Paths whose answers no browser shows as a page. */
  isForPrograms?: (path: string) => boolean;
}

/**
 * Of an answer that is JSON. Opened in a browser all the same it may load nothing, be framed by nobody and be taken for
 * nothing else (ASVS 3.4.3, 3.4.4, 3.4.6); what else pages say is about scripts, windows and links, which it has none of.
 */
const programHeaders = {
  'Content-Security-Policy': "default-src 'none'; base-uri 'none'; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
};

const everyHeader = {
  'Content-Security-Policy': contentSecurityPolicy([]),
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Referrer-Policy': 'no-referrer',
  'Permissions-Policy': permissionsPolicy,
  'Cross-Origin-Opener-Policy': 'same-origin',
};

/** Redirects between the pages are not stored either. */
const privateHeaders = {
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Cache-Control': 'no-store',
};

/** Headers of every response. Goes before whatever turns errors into responses. */
export function securityHeaders(options: SecurityHeaderOptions): Middleware {
  const { hstsMaxAgeSeconds, isForPrograms = () => false } = options;
  const maxAge = String(Math.floor(hstsMaxAgeSeconds));
  const transport =
    hstsMaxAgeSeconds > 0
      ? { 'Strict-Transport-Security': `max-age=${maxAge}; includeSubDomains` }
      : {};
  const variant = (headers: Record<string, string>) => ({
    shared: Object.entries({ ...headers, ...transport }),
    own: Object.entries({ ...headers, ...transport, ...privateHeaders }),
  });
  const variants = { programs: variant(programHeaders), browsers: variant(everyHeader) };
  return (ctx, next) => {
    const { shared, own } = isForPrograms(ctx.path) ? variants.programs : variants.browsers;
    const { res } = ctx;
    for (const [name, value] of isShared(ctx.path) ? shared : own) res.setHeader(name, value);
    return next();
  };
}

/** Headers of a hosted page: never stored, and forms go only to us and to `formActions`. */
export function pageHeaders(
  ctx: { set(field: string, value: string): void },
  { formActions = [] }: PageHeaderOptions = {},
): void {
  ctx.set('Content-Security-Policy', contentSecurityPolicy(formActions));
  ctx.set('Cache-Control', 'no-store');
}
