import type { IncomingMessage } from 'node:http';
import type { Middleware } from 'koa';
import { currentRequest } from '../observability/request-context.ts';
import { canonicalHost, type PinnedHosts } from './host.ts';
import { listenerOf, nameDoor, type ListenerName } from './listener-name.ts';

/** Knows our proxies and the certificates that come with requests. */
interface Certificates {
  receive(
    request: IncomingMessage,
  ): { readonly proxied: false } | { readonly proxied: true; readonly address: string | undefined };
  prepare(request: IncomingMessage, listener: ListenerName): Promise<void> | undefined;
}

/**
 * Takes what only proxies may say out of the request, and for one that a proxy of ours brought puts
 * in place what it says: the caller's address, and by the Host line the door that it is for.
 */
export function receiveFromProxies(
  certificates: Pick<Certificates, 'receive'>,
  hosts: PinnedHosts,
): Middleware {
  const doors = new Map<string, ListenerName>([
    [canonicalHost(hosts.publicHost), 'public'],
    [canonicalHost(hosts.mtlsHost), 'mtls'],
  ]);
  return (ctx, next) => {
    const arrival = certificates.receive(ctx.req);
    if (!arrival.proxied) return next();
    const door = doors.get(canonicalHost(ctx.req.headers.host ?? ''));
    if (door !== undefined) nameDoor(ctx.req, door);
    ctx.request.ip = arrival.address ?? ctx.request.ip;
    const request = currentRequest();
    if (request !== undefined) {
      request.proxied = true;
      request.listener = door ?? request.listener;
      request.address = arrival.address ?? request.address;
    }
    return next();
  };
}

/** Finds the client's certificate before anything asks for it; what is refused never reaches the engine. */
export function prepareCertificate(certificates: Pick<Certificates, 'prepare'>): Middleware {
  return (ctx, next) => {
    const preparing = certificates.prepare(ctx.req, listenerOf(ctx.req) ?? 'public');
    return preparing === undefined ? next() : preparing.then(next);
  };
}
