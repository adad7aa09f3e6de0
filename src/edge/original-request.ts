import { plainName } from './plain-name.ts';
import type { EdgePolicy } from './route-policy.ts';

/** The request that a proxy asks about. */
export interface OriginalRequest {
  method: string;
  /** Path and query as the caller sent them. */
  target: string;
}

/** What a proxy's request is made of. */
export interface ProxyRequest {
  method: string;
  /** The target of the proxy's own request. */
  url: string;
  /** The values of all lines of a header by its lower-case name. */
  header: (name: string) => readonly string[];
}

/** Where proxies ask; Envoy puts the original path behind it. */
export const verifyPath = '/edge/verify';

const headers = {
  nginx: { method: 'x-original-method', target: 'x-original-uri' },
  traefik: { method: 'x-forwarded-method', target: 'x-forwarded-uri' },
} as const;

/**
 * What an authenticated proxy of this kind tells of the original request: other kinds' headers may be the caller's. Undefined
 * where it does not say one method and one target.
 */
export function readOriginal(
  proxy: EdgePolicy['proxy'],
  request: ProxyRequest,
): OriginalRequest | undefined {
  if (proxy === 'envoy') {
    const target = request.url.slice(verifyPath.length);
    return checked({ method: request.method, target });
  }
  const [method, otherMethod] = request.header(headers[proxy].method);
  const [target, otherTarget] = request.header(headers[proxy].target);
  if (method === undefined || target === undefined) return undefined;
  if (otherMethod !== undefined || otherTarget !== undefined) return undefined;
  return checked({ method, target });
}

function checked(original: OriginalRequest): OriginalRequest | undefined {
  const isRequest = /^[A-Z]{1,20}$/.test(original.method) && original.target.startsWith('/');
  return isRequest ? original : undefined;
}

/**
 * By which some servers take another method or path than that of the request line: frameworks, and servers behind which a path
 * was rewritten.
 */
export const overriding = [
  ...['x-http-method-override', 'x-http-method', 'x-method-override'],
  ...['x-original-url', 'x-rewrite-url', 'x-override-url', 'x-request-uri'],
  ...['x-original-path', 'x-forwarded-path', 'x-envoy-original-path', 'x-http-path-override'],
  ...['x-forwarded-prefix', 'x-script-name'],
] as const;

/** By which proxies ask, whatever their kind: they are for us, and the shipped configurations take them from what goes on. */
export const asking = Object.values(headers).flatMap(({ method, target }) => [method, target]);

const refused = new Set<string>(overriding);
const misspelt = new Set<string>([...overriding, ...asking]);

/**
 * The header by which the caller would have the server behind see another request; of those that some servers take for another
 * name, such as `X_Original_URI`, also one that could pass for a proxy's. Undefined without one.
 */
export function overridingHeader(headerNames: readonly string[]): string | undefined {
  return headerNames.find((name) => {
    const plain = plainName(name);
    return plain === undefined ? refused.has(name.toLowerCase()) : misspelt.has(plain);
  });
}
