import type { IncomingMessage } from 'node:http';
import type { Context } from 'koa';
import { Problem } from '../problem.ts';

function tooLarge(maxBytes: number): Problem {
  return new Problem('payload_too_large', {
    detail: `the body has more than ${String(maxBytes)} bytes`,
  });
}

/** RFC 9112 §6.3; without one, our listeners never tell of its end. */
function hasBody({ headers }: IncomingMessage): boolean {
  return headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined;
}

/** Stops reading at the limit, but leaves the connection open for the answer. */
function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const settle = (act: () => void): void => {
      request.off('data', onData).off('end', onEnd).off('error', onBroken).off('close', onBroken);
      act();
    };
    const onData = (chunk: Buffer): void => {
      size += chunk.length;
      if (size <= maxBytes) {
        chunks.push(chunk);
        return;
      }
      request.pause();
      settle(() => {
        reject(tooLarge(maxBytes));
      });
    };
    const onEnd = (): void => {
      settle(() => {
        resolve(Buffer.concat(chunks));
      });
    };
    const onBroken = (cause?: Error): void => {
      settle(() => {
        reject(new Problem('invalid_request', { detail: 'the body ended early', cause }));
      });
    };
    if (request.readableEnded || request.destroyed) {
      onBroken();
      return;
    }
    request.on('data', onData).on('end', onEnd).on('error', onBroken).on('close', onBroken);
  });
}

/**
 * The body of a request, at most `maxBytes`. Problems: payload_too_large; invalid_request for a body that ended early.
 */
export async function readLimited(ctx: Context, maxBytes: number): Promise<Buffer> {
  try {
    if (!hasBody(ctx.req)) return Buffer.alloc(0);
    if (Number(ctx.get('Content-Length')) > maxBytes) throw tooLarge(maxBytes);
    return await readBody(ctx.req, maxBytes);
  } catch (error) {
    // The rest of the body is not worth reading before the next request of this connection.
    ctx.set('Connection', 'close');
    throw error;
  }
}

/** The text of a body. Problem('invalid_request') for what is not UTF-8. */
export function decodeUtf8(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new Problem('invalid_request', { detail: 'the body is not UTF-8', cause });
  }
}

const jsonType = /^application\/json(?:\s*;\s*charset\s*=\s*"?utf-8"?)?\s*$/i;

/**
 * The text of a JSON body, at most `maxBytes`. Problems: unsupported_media_type for what is not plain JSON in UTF-8, and those
 * of readLimited and decodeUtf8.
 */
export async function readJsonText(ctx: Context, maxBytes: number): Promise<string> {
  const coding = ctx.get('Content-Encoding').toLowerCase();
  if (!jsonType.test(ctx.get('Content-Type')) || (coding !== '' && coding !== 'identity')) {
    throw new Problem('unsupported_media_type', { detail: 'not plain JSON in UTF-8' });
  }
  return decodeUtf8(await readLimited(ctx, maxBytes));
}
