import { lookup } from 'node:dns';
import type { LookupAddress } from 'node:dns';
import { request as plainRequest } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { Agent, request as tlsRequest } from 'node:https';
import { isIP } from 'node:net';
import type { LookupFunction } from 'node:net';
import { createSecureContext, getCACertificates } from 'node:tls';
import type { SecureContext } from 'node:tls';
import { Problem } from '../problem.ts';
import { isPublicAddress } from './public-address.ts';

/** What requests to other servers may do. */
export interface OutboundLimits {
  /** `host` or `host:port` that may have a private address; where none is said, the scheme's own port. */
  allowedHosts: readonly string[];
  /** PEM authorities that are trusted besides the usual ones. */
  truststorePem: string | undefined;
  /** For the whole request, from looking up the name to the last byte. */
  timeoutMs: number;
  maxBodyBytes: number;
  /** What we prove ourselves with, where the other side asks. */
  clientCertificate?: { certificatePem: string; privateKeyPem: string } | undefined;
  /** Lets http through as well: for content that is signed itself, such as revocation lists (RFC 5280 §8). */
  plainHttp?: true;
  /** Connections to listed hosts that are kept, at most; for what is called all the time. */
  keptConnections?: number;
}

/** The part of the Fetch API's `fetch` that our callers use; redirects are never followed. */
export type OutboundFetch = (url: string | URL, options?: RequestInit) => Promise<Response>;

/** Statuses whose Response has no body (Fetch §2.2.3). */
const withoutBody = new Set([204, 205, 304]);

/**
 * The one way out to other people's servers: https only unless told, to public addresses unless the host is listed, one time limit and
 * one size limit, no redirects. The address that was checked is the one that is connected to, so that a name can't
 * change its mind in between. Problem('outbound_refused') for everything that is not let through or fails.
 */
export function createOutboundFetch(limits: OutboundLimits): OutboundFetch {
  const connect = connections(limits);

  return async function outboundFetch(url, options = {}) {
    const target = new URL(url);
    rejectForbidden(target, limits);
    const isListed = isListedHost(target, limits);
    if (!isListed) rejectPrivateLiteral(target);
    const signals = [AbortSignal.timeout(limits.timeoutMs), options.signal ?? []].flat();
    try {
      const response = await send(target, {
        ...options,
        connection: connect(isListed),
        lookup: isListed ? lookupAny : lookupPublic,
        signal: AbortSignal.any(signals),
      });
      return await readResponse(response, limits.maxBodyBytes);
    } catch (error) {
      if (error instanceof Problem) throw error;
      throw new Problem('outbound_refused', {
        detail: `${target.host}: ${text(error)}`,
        cause: error,
      });
    }
  };
}

interface Connecting {
  agent: Agent | false;
  secureContext: SecureContext;
}

/** How a host is connected to: as a rule anew each time, for a kept connection would skip the look-up and its check. */
function connections(limits: OutboundLimits): (isListed: boolean) => Connecting {
  const maxSockets = limits.keptConnections;
  const agent = maxSockets === undefined ? false : new Agent({ keepAlive: true, maxSockets });
  let secureContext: SecureContext | undefined;
  return (isListed) => {
    // Once: the usual authorities alone take 11 ms to read, and nobody else is served meanwhile.
    secureContext ??= contextOf(limits);
    return { agent: isListed ? agent : false, secureContext };
  };
}

function contextOf({ truststorePem, clientCertificate }: OutboundLimits): SecureContext {
  return createSecureContext({
    ca: [getCACertificates(), truststorePem ?? []].flat(),
    cert: clientCertificate?.certificatePem,
    key: clientCertificate?.privateKeyPem,
  });
}

function rejectForbidden(target: URL, { plainHttp }: OutboundLimits): void {
  const isPlain = plainHttp === true && target.protocol === 'http:';
  if (target.protocol !== 'https:' && !isPlain) {
    throw refused(`${target.protocol}//${target.host} is not https`);
  }
  if (target.username !== '' || target.password !== '') {
    throw refused(`${target.host}: the URL has user information`);
  }
}

/** Names are checked when they are looked up; addresses are not looked up. */
function rejectPrivateLiteral(target: URL): void {
  if (isPrivateLiteral(target)) throw refused(`${target.hostname} is not a public address`);
}

function isPrivateLiteral({ hostname }: URL): boolean {
  const address = hostname.replace(/^\[|\]$/g, '');
  return isIP(address) !== 0 && !isPublicAddress(address);
}

function isListedHost(
  target: URL,
  { allowedHosts }: Pick<OutboundLimits, 'allowedHosts'>,
): boolean {
  return allowedHosts.some((host) => isSameHost(host, target));
}

/** Always this machine (RFC 6761 §6.3). */
const localName = /(?:^|\.)localhost\.?$/;

/** Whether `target` will never be connected to, as its text alone tells: a private address, or a name of this machine, not listed. */
export function isNeverReached(target: URL, limits: Pick<OutboundLimits, 'allowedHosts'>): boolean {
  const isPrivate = isPrivateLiteral(target) || localName.test(target.hostname);
  return isPrivate && !isListedHost(target, limits);
}

function isSameHost(listed: string, { protocol, hostname, port }: URL): boolean {
  const expected = URL.parse(`${protocol}//${listed}`);
  return expected?.hostname === hostname && expected.port === port;
}

const lookupAny: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, { ...options, all: true }, (error, addresses) => {
    answer(callback, error, { addresses, all: options.all === true });
  });
};

/** A name that has one private address is refused altogether: which one would be taken is not ours to say. */
const lookupPublic: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, { ...options, all: true }, (error, addresses) => {
    const isPublic = error !== null || addresses.every(({ address }) => isPublicAddress(address));
    const refusal = isPublic ? error : refused(`${hostname} has an address that is not public`);
    answer(callback, refusal, { addresses, all: options.all === true });
  });
};

function answer(
  callback: Parameters<LookupFunction>[2],
  error: Error | null,
  { addresses, all }: { addresses: LookupAddress[] | undefined; all: boolean },
): void {
  const [first] = addresses ?? [];
  if (error !== null || addresses === undefined || first === undefined) {
    callback(error ?? refused('the name has no address'), '', 0);
  } else if (all) {
    callback(null, addresses);
  } else {
    callback(null, first.address, first.family);
  }
}

type Sending = RequestInit & {
  connection: Connecting;
  lookup: LookupFunction;
  signal: AbortSignal;
};

function send(target: URL, options: Sending): Promise<IncomingMessage> {
  const { connection, lookup: find, signal, method = 'GET' } = options;
  const body = bodyOf(options);
  const headers = {
    ...Object.fromEntries(new Headers(options.headers)),
    'accept-encoding': 'identity',
    ...(body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }),
  };
  return new Promise((resolve, reject) => {
    const request = target.protocol === 'https:' ? tlsRequest : plainRequest;
    request(target, { method, headers, ...connection, lookup: find, signal })
      .on('response', resolve)
      .on('error', reject)
      .end(body);
  });
}

function bodyOf({ body }: RequestInit): string | Uint8Array | undefined {
  if (body === undefined || body === null) return undefined;
  if (typeof body === 'string' || body instanceof Uint8Array) return body;
  if (body instanceof URLSearchParams) return body.toString();
  throw new TypeError('a body is text, bytes or form parameters');
}

async function readResponse(message: IncomingMessage, maxBytes: number): Promise<Response> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of message) {
    const bytes = chunk as Buffer;
    size += bytes.length;
    if (size > maxBytes) {
      message.destroy();
      throw refused(`the answer is longer than ${String(maxBytes)} bytes`);
    }
    chunks.push(bytes);
  }
  const status = message.statusCode ?? 0;
  const headers = new Headers();
  for (const [name, value] of Object.entries(message.headersDistinct)) {
    for (const line of value ?? []) headers.append(name, line);
  }
  return new Response(withoutBody.has(status) ? null : Buffer.concat(chunks), { status, headers });
}

function refused(detail: string): Problem {
  return new Problem('outbound_refused', { detail });
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
