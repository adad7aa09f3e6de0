import type { X509Certificate } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type Koa from 'koa';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../clock.ts';
import type { Logger } from '../observability/logger.ts';
import { currentRequest } from '../observability/request-context.ts';
import { formatDistinguishedName } from '../tls/names/distinguished-name-text.ts';
import { distinguishedNameOf } from '../tls/names/distinguished-name.ts';
import { ipAddressBytes } from '../tls/ip-address.ts';
import type { Reader, ReaderStore } from './reader-store.ts';

/** What tells whose certificate proves a resource server. */
interface ResourceServer {
  introspectionClientId: string | undefined;
}

interface PresentedCertificate {
  certificate: X509Certificate;
  /** Issued by an authority that we trust, valid and not revoked. */
  chainTrusted: boolean;
}

interface Dependencies {
  /** Where the key set is. */
  path: string;
  /** Kids that are published at this moment. */
  kids: () => readonly string[];
  readers: Pick<ReaderStore, 'record'>;
  resourceServers: { find(identifier: string): Promise<ResourceServer | undefined> };
  certificates: {
    of(request: IncomingMessage): PresentedCertificate | undefined;
  };
  /** Whether this is the certificate by which a client authenticates. */
  isCertificateOf: (clientId: string, certificate: X509Certificate) => Promise<boolean>;
  /** Addresses that are resource servers' own, as the operator says. */
  addresses: readonly string[];
  clock: Clock;
  logger: Logger;
}

/** A reader that comes again sooner is not written down again, unless the key set is another one. */
const rememberMs = 60_000;
/** How exactly: without it every millisecond in which somebody comes gets a timer of its own. */
const exactMs = 1000;

/**
 * Notes who fetches the key set, so that promotion can wait for them. A resource server is proven by the query parameter
 * `resource_server` together with the certificate of the client as which it introspects, or by coming from an address that
 * was configured. Of others it is noted what they say, and nothing waits for them.
 */
export function recordKeySetReaders(deps: Dependencies): Koa.Middleware {
  const { path, kids, readers, clock, logger } = deps;
  const remembered = new LRUCache<string, string>({
    ...{ max: 5000, ttl: rememberMs, ttlResolution: exactMs },
  });
  const isConfigured = createAddressSet(deps.addresses);

  async function note(ctx: Koa.Context, seen: readonly string[]): Promise<void> {
    const reader = await readerOf(ctx, { ...deps, isConfigured });
    if (reader === undefined) return;
    const name = `${reader.kind} ${reader.name}`;
    const set = seen.join();
    if (remembered.get(name) === set) return;
    remembered.set(name, set);
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

interface Recognition extends Dependencies {
  isConfigured: (address: string) => boolean;
}

async function readerOf(ctx: Koa.Context, deps: Recognition): Promise<Reader | undefined> {
  const presented = deps.certificates.of(ctx.req);
  const certificate = presented?.chainTrusted === true ? presented : undefined;
  const named = nameIn(ctx);
  const label = named === undefined ? undefined : await labelOf(named, certificate, deps);
  if (label?.kind === 'resource-server') return label;
  const address = currentRequest()?.address;
  if (address !== undefined && deps.isConfigured(address)) {
    return { kind: 'configured-address', name: address };
  }
  return label ?? strangerOf(certificate, address);
}

/** Parsed only where there is something to parse. */
function nameIn(ctx: Koa.Context): string | undefined {
  if (ctx.querystring === '') return undefined;
  const named = ctx.query['resource_server'];
  return typeof named === 'string' ? named : undefined;
}

function strangerOf(
  presented: PresentedCertificate | undefined,
  address: string | undefined,
): Reader | undefined {
  if (presented !== undefined) {
    const subject = formatDistinguishedName(distinguishedNameOf(presented.certificate));
    return { kind: 'certificate', name: subject };
  }
  return address === undefined ? undefined : { kind: 'address', name: address };
}

/** A resource server that we know, with or without the proof that it is the one. */
async function labelOf(
  name: string,
  presented: PresentedCertificate | undefined,
  { resourceServers, isCertificateOf }: Dependencies,
): Promise<Reader | undefined> {
  const found = await resourceServers.find(name);
  if (found === undefined) return undefined;
  const clientId = found.introspectionClientId;
  const isProven =
    clientId !== undefined &&
    presented !== undefined &&
    (await isCertificateOf(clientId, presented.certificate));
  return { kind: isProven ? 'resource-server' : 'label', name };
}

/** Each form of an IPv6 address is the same one. */
function createAddressSet(addresses: readonly string[]): (address: string) => boolean {
  const known = new Set(addresses.flatMap((address) => ipAddressBytes(address) ?? []));
  if (known.size === 0) return () => false;
  return (address) => known.has(ipAddressBytes(address) ?? '');
}
