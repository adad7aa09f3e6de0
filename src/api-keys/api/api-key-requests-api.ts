import type Koa from 'koa';
import type { z } from 'zod';
import { bounds } from '../../bounds.ts';
import { readJsonText } from '../../http/body.ts';
import { Problem } from '../../problem.ts';
import { parseJsonObject } from '../../security/strict-json.ts';
import type { TermsFault } from '../api-key.ts';

const maxFaults = 20;

/** A request that is not carried out because of what is in it. */
export interface Faulty {
  faults: readonly TermsFault[];
}

/** The text of a JSON body; Problems of readJsonText. */
export function readBody(ctx: Koa.Context): Promise<string> {
  return readJsonText(ctx, bounds.apiKeyRequests.maxBytes);
}

/** The request in a body, or what is wrong with it. Problem('invalid_request') for what is no JSON object. */
export function parseBody<T>(schema: z.ZodType<T>, text: string): { request: T } | Faulty {
  const parsed = schema.safeParse(parseJsonObject(text, bounds.apiKeyRequests));
  if (parsed.success) return { request: parsed.data };
  const faults = parsed.error.issues.slice(0, maxFaults).map(({ path, message }) => ({
    ...{ path: path.map(String).join('.'), message },
  }));
  return { faults };
}

const keyShape = /^[\x21-\x7e]{1,100}$/;

/** The idempotency key of a creation; undefined without the header. */
export function idempotencyKeyIn(ctx: Koa.Context): { key: string | undefined } | Faulty {
  const key = ctx.get('x-idempotency-key');
  if (key === '') return { key: undefined };
  if (keyShape.test(key)) return { key };
  const message = 'the header must be 1 to 100 visible ASCII characters';
  return { faults: [{ path: 'x-idempotency-key', message }] };
}

/** The only value of a query parameter; undefined without it. Problem('invalid_request') for what is not expected. */
export function queryOf<Name extends string>(
  ctx: Koa.Context,
  fits: Readonly<Record<Name, (value: string) => boolean>>,
): Partial<Record<Name, string>> {
  const found: Partial<Record<Name, string>> = {};
  for (const [name, value] of new URLSearchParams(ctx.querystring)) {
    const isKnown = Object.hasOwn(fits, name);
    if (!isKnown || found[name as Name] !== undefined || !fits[name as Name](value)) {
      throw new Problem('invalid_request', { detail: `the query parameter ${name.slice(0, 50)}` });
    }
    found[name as Name] = value;
  }
  return found;
}
