import type { X509Certificate } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type Koa from 'koa';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../clock.ts';
import type { Logger } from '../observability/logger.ts';
import { currentRequest } from '../observability/request-context.ts';
import { formatDistinguishedName } from '../tls/distinguished-name-text.ts';
import { distinguishedNameOf } from '../tls/distinguished-name.ts';
import type { Reader, ReaderStore } from './reader-store.ts';

interface Dependencies {
  /** Where the key set is. */
  path: string;
  /** Kids that are published at this moment. */
  kids: () => readonly string[];
  readers: Pick<ReaderStore, 'record'>;
  resourceServers: { find(identifier: string): Promise<unknown> };
  certificates: {
    of(
      request: IncomingMessage,
    ): { certificate: X509Certificate; chainTrusted: boolean } | undefined;
  };
  clock: Clock;
  logger: Logger;
}

/** A reader that comes again sooner is not written down again, unless the key set is another one. */
const rememberMs = 60_000;

/**
 * Notes who fetches the key set, so that promotion can wait for them. A resource server says who it is by the query
 * parameter `resource_server`, which must be one that we know, or by its certificate; else its address is noted.
 */
export function recordKeySetReaders(deps: Dependencies): Koa.Middleware {
  const { path, kids, readers, clock, logger } = deps;
  const remembered = new LRUCache<string, string>({ max: 5000, ttl: rememberMs });

  async function note(ctx: Koa.Context, seen: readonly string[]): Promise<void> {
    const reader = await readerOf(ctx, deps);
    if (reader === undefined) return;
    const name = `${reader.kind} ${reader.name}`;
    if (remembered.get(name) === seen.join()) return;
    remembered.set(name, seen.join());
    await readers.record(reader, seen, clock.now());
  }

  async function answerAndNote(ctx: Koa.Context, next: Koa.Next): Promise<void> {
    const seen = kids(); // before the answer is made: a key that comes meanwhile may be missing in it
    await next();
    if (ctx.status !== 200 && ctx.status !== 304) return;
    // The key set does not wait for the database.
    note(ctx, seen).catch((error: unknown) => {
      logger.debug('A fetch of the key set was not recorded', { error });
    });
  }

  return (ctx, next) =>
    ctx.path === path && ctx.method === 'GET'
      ? answerAndNote(ctx, next)
      : (next() as Promise<void>);
}

async function readerOf(
  ctx: Koa.Context,
  { resourceServers, certificates }: Dependencies,
): Promise<Reader | undefined> {
  const named = ctx.query['resource_server'];
  if (typeof named === 'string' && (await resourceServers.find(named)) !== undefined) {
    return { kind: 'resource-server', name: named };
  }
  const presented = certificates.of(ctx.req);
  if (presented?.chainTrusted === true) {
    const subject = formatDistinguishedName(distinguishedNameOf(presented.certificate));
    return { kind: 'certificate', name: subject };
  }
  const address = currentRequest()?.address;
  return address === undefined ? undefined : { kind: 'address', name: address };
}
