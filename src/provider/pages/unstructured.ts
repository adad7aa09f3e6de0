import type { IncomingMessage } from 'node:http';
import type Koa from 'koa';
import { bounds } from '../../bounds.ts';
import { Problem } from '../../problem.ts';
import { structuredTokenMark } from '../tokens/jwt-access-tokens.ts';

/**
 * Marks a JWT in the `token` parameter of introspection and revocation requests (see jwt-access-tokens.ts), so that
 * JWT access tokens can be introspected and revoked with all of oidc-provider's own checks. For these endpoints alone.
 */
export const markStructuredTokens: Koa.Middleware = async function markStructuredTokens(ctx, next) {
  if (ctx.method === 'POST' && ctx.is('urlencoded')) {
    replaceBody(ctx.req, markToken(await readBody(ctx.req).catch(endedEarly)));
  }
  await next();
};

/** By its events: cheaper than an iterator over the stream, for a body that nearly always is one piece. */
function readBody(request: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > bounds.protocolForms.maxBytes) reject(new Problem('payload_too_large'));
      else chunks.push(chunk);
    });
    request.once('end', () => {
      resolve(Buffer.concat(chunks).toString('utf8'));
    });
    request.once('error', reject);
    request.once('close', () => {
      reject(new Error('aborted')); // without effect after the end
    });
  });
}

/** Or a caller who hangs up (ECONNRESET) would look like a database that does. */
function endedEarly(cause: unknown): never {
  if (cause instanceof Problem) throw cause;
  throw new Problem('invalid_request', { detail: 'the body ended early', cause });
}

function markToken(body: string): string {
  const parameters = new URLSearchParams(body);
  const [token, ...more] = parameters.getAll('token');
  // Whatever has a dot could be taken for a JWT there; opaque tokens have none.
  if (token === undefined || more.length > 0 || !token.includes('.')) return body;
  parameters.set('token', `${structuredTokenMark}${token}`);
  return parameters.toString();
}

/** oidc-provider reads the request's stream through `readable` and `iterator`, and its length from the header. */
function replaceBody(request: IncomingMessage, body: string): void {
  const bytes = Buffer.from(body);
  delete request.headers['transfer-encoding'];
  request.headers['content-length'] = String(bytes.length);
  Object.defineProperties(request, {
    readable: { value: true, configurable: true },
    iterator: { value: () => onePiece(bytes), configurable: true },
  });
}

function onePiece(bytes: Buffer): AsyncIterable<Buffer> {
  const pieces = [bytes].values();
  return { [Symbol.asyncIterator]: () => ({ next: () => Promise.resolve(pieces.next()) }) };
}
