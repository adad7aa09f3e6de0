import type { IncomingMessage } from 'node:http';
import type { Context, Middleware } from 'koa';
import { Problem } from '../problem.ts';
import { listenerOf, type ListenerName } from './listener-name.ts';

/** The host, with its port unless it is 443, by which each listener may be called. */
export interface PinnedHosts {
  publicHost: string;
  mtlsHost: string;
}

/** Lower case, and without the port that https implies. */
export function canonicalHost(host: string): string {
  return host.toLowerCase().replace(/:443$/, '');
}

/** Node keeps the first of several Host lines; what is in front of us may have kept the last. */
function hostLines(request: IncomingMessage): string[] {
  const { rawHeaders } = request;
  const values: string[] = [];
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index];
    if (name?.length !== 4 || name.toLowerCase() !== 'host') continue;
    values.push(rawHeaders[index + 1] ?? '');
  }
  return values;
}

const absoluteForm = /^https:\/\/([^/?#\s]+)(\/\S*)?$/i;

/** The host named in the request target (RFC 9112 §3.2.2); undefined for the usual form, which begins with a slash. */
function targetOf(request: IncomingMessage): { host: string; path: string } | undefined {
  const target = request.url ?? '/';
  // RFC 9112 §3.2 has no fragment; who is in front of us may have taken it for a part of the path.
  if (target.includes('#')) {
    throw new Problem('invalid_request', { detail: 'the request target has a fragment' });
  }
  if (target.startsWith('/')) return undefined;
  const [, host, path] = absoluteForm.exec(target) ?? [];
  if (host === undefined) {
    throw new Problem('invalid_request', { detail: 'the request target has no known form' });
  }
  return { host, path: path ?? '/' };
}

function isHost(host: string, expected: string): boolean {
  return host === expected || canonicalHost(host) === expected;
}

function rejectOtherHosts(named: readonly string[], expected: string): void {
  if (named.length > 0 && named.every((host) => isHost(host, expected))) return;
  const seen = named.join(', ').slice(0, 256);
  throw new Problem('misdirected_request', { detail: `asked for "${seen}" at ${expected}` });
}

function pin(ctx: Context, expected: string): void {
  const { req } = ctx;
  const lines = hostLines(req);
  if (lines.length > 1) {
    throw new Problem('misdirected_request', { detail: 'more than one Host line' });
  }
  const target = targetOf(req);
  const authority = req.headers[':authority'];
  rejectOtherHosts(
    [
      ...lines,
      ...(target === undefined ? [] : [target.host]),
      ...(typeof authority === 'string' ? [authority] : []),
    ],
    expected,
  );
  if (target === undefined) return;
  req.url = target.path;
  ctx.originalUrl = target.path;
  ctx.request.originalUrl = target.path;
}

/**
 * Refuses requests for any other host than the configured one of the listener that they came through (421, RFC 9110 §15.5.20)
 * and then puts the public host in place: oidc-provider builds every URL from Host. Forwarded headers are not looked at. A
 * listener that was never named with `nameListener` is refused altogether.
 */
export function pinHost(hosts: PinnedHosts): Middleware {
  const expected: Record<ListenerName, string> = {
    public: canonicalHost(hosts.publicHost),
    mtls: canonicalHost(hosts.mtlsHost),
  };
  return (ctx, next) => {
    const listener = listenerOf(ctx.req);
    if (listener === undefined) {
      throw new Problem('misdirected_request', { detail: 'the listener has no name' });
    }
    pin(ctx, expected[listener]);
    ctx.req.headers.host = hosts.publicHost;
    return next();
  };
}
