import type Koa from 'koa';
import { Denied } from './mandate.ts';

const maxBytes = 4096;

/** A small JSON body. Throws {@link Denied} for anything else. */
export async function readJson(ctx: Koa.Context): Promise<unknown> {
  if (ctx.is('application/json') === false) throw new Denied(400, 'invalid_request');
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of ctx.req as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) throw new Denied(400, 'invalid_request');
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    throw new Denied(400, 'invalid_request');
  }
}
