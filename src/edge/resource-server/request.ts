import type { IncomingMessage } from 'node:http';

/** A request as every framework has it. */
export interface ProtectedRequest {
  method: string;
  /** Path and query as the caller sent them. */
  target: string;
  /** The values of all lines of a header by its lower-case name. */
  header: (name: string) => readonly string[];
  /** DER of the certificate that the other side of the TLS connection presented. */
  certificate: Uint8Array | undefined;
}

/** Node's request; `target` where a framework has changed `url`. */
export function nodeRequest(request: IncomingMessage, target?: string): ProtectedRequest {
  const lines = headerLines(request);
  return {
    method: request.method ?? '',
    target: target ?? request.url ?? '',
    header: (name) => lines.get(name) ?? [],
    certificate: certificateOf(request.socket),
  };
}

/**
 * The values of each header field line by its lower-case name. Not Node's `headersDistinct`, which HTTP/2 requests don't have, and
 * which fails where somebody has shortened `rawHeaders`.
 */
export function headerLines({
  rawHeaders,
}: Pick<IncomingMessage, 'rawHeaders'>): Map<string, string[]> {
  const lines = new Map<string, string[]>();
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] ?? '').toLowerCase();
    const value = rawHeaders[index + 1] ?? '';
    const known = lines.get(name);
    if (known === undefined) lines.set(name, [value]);
    else known.push(value);
  }
  return lines;
}

interface MaybeTls {
  getPeerX509Certificate?: () => { raw: Uint8Array } | undefined;
}

/** Asked of the socket itself and not its class: that of HTTP/2 requests is a stand-in. */
function certificateOf(socket: object): Uint8Array | undefined {
  return (socket as MaybeTls).getPeerX509Certificate?.()?.raw;
}

/** A fetch `Request`; its connection is known to who received it. */
export function fetchRequest(
  request: Request,
  certificate: { raw: Uint8Array } | undefined,
): ProtectedRequest {
  const { pathname, search } = new URL(request.url);
  return {
    method: request.method,
    target: pathname + search,
    header(name) {
      const value = request.headers.get(name);
      return value === null ? [] : [value];
    },
    certificate: certificate?.raw,
  };
}
