import type { IncomingMessage } from 'node:http';
import { parse } from 'node:querystring';
import type Koa from 'koa';
import { Problem } from '../../problem.ts';

/** A client-credentials request (RFC 6749 §4.4.2) of a client that authenticates by its certificate, and nothing beside. */
export interface PlainRequest {
  clientId: string;
  /** In the order of the request; none comes twice. */
  scopes: readonly string[];
  /** RFC 8707; undefined where the request names none. */
  resource: string | undefined;
}

/** Bytes; a request with a name, scopes and a resource has about 150. Longer ones are no worse, but not plain. */
const longestPlain = 2048;

const contentTypes = new Set([
  'application/x-www-form-urlencoded',
  'application/x-www-form-urlencoded;charset=utf-8',
  'application/x-www-form-urlencoded; charset=utf-8',
]);

/** What else may prove something, come from a page of another origin, or change what the body is. */
const beside = [
  'authorization',
  'dpop',
  'oauth-client-attestation',
  'oauth-client-attestation-pop',
  'origin',
  'content-encoding',
  'transfer-encoding',
] as const;

/**
 * Reads a request that is as plain as that; undefined for every other one. The body stays in the request, for whoever
 * reads it next.
 */
export async function readPlainRequest(ctx: Koa.Context): Promise<PlainRequest | undefined> {
  const { req } = ctx;
  if (req.method !== 'POST' || ctx.querystring !== '') return undefined;
  const length = plainLength(req);
  if (length === undefined) return undefined;
  // What came in one piece with its headers is there once they are dealt with.
  if (req.readableLength === 0) await Promise.resolve();
  const body = req.readableLength > 0 ? peek(req) : await peekWhenReadable(req);
  if (body?.length !== length) return undefined;
  return plainParameters(body.toString());
}

/** The length of a body that may be plain. */
function plainLength({ headers }: IncomingMessage): number | undefined {
  if (beside.some((name) => headers[name] !== undefined)) return undefined;
  if (!contentTypes.has(headers['content-type']?.toLowerCase() ?? '')) return undefined;
  const length = Number(headers['content-length']);
  return Number.isInteger(length) && length > 0 && length <= longestPlain ? length : undefined;
}

/** What has come of the body, which is put back at once: so nothing notices that it was read. */
function peek(request: IncomingMessage): Buffer | undefined {
  const chunk = request.read() as Buffer | null;
  if (chunk === null) return undefined;
  request.unshift(chunk);
  return chunk;
}

/** Problem('invalid_request') where the caller hangs up before anything of the body has come. */
function peekWhenReadable(request: IncomingMessage): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    const settle = () => {
      request.off('readable', settle);
      request.off('close', settle);
      if (request.readableAborted) reject(new Problem('invalid_request', { detail: hungUp }));
      else resolve(peek(request));
    };
    request.on('readable', settle);
    request.on('close', settle);
    if (request.destroyed) settle(); // both events have been
  });
}

const hungUp = 'the caller hung up before the body came';

/** By the parser that the engine uses: what two parsers took for different things would be two requests. */
function plainParameters(body: string): PlainRequest | undefined {
  const { grant_type: grantType, client_id: clientId, scope, resource, ...others } = parse(body);
  const isPlain = grantType === 'client_credentials' && Object.keys(others).length === 0;
  if (!isPlain || !isText(clientId) || !isText(scope)) return undefined;
  if (resource !== undefined && !isText(resource)) return undefined;
  const scopes = scope.split(' ');
  if (new Set(scopes).size !== scopes.length) return undefined;
  return { clientId, scopes, resource };
}

/** The engine takes an empty parameter for an absent one; several of a name are a list. */
function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
