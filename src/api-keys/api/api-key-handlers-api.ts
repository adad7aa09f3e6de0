import type Koa from 'koa';
import { dayOf } from '../../clock.ts';
import type { Clock } from '../../clock.ts';
import { Problem } from '../../problem.ts';
import type { ApiKeyStore } from '../api-key-store.ts';
import type { Issuing } from '../issuing.ts';
import { isDay } from '../usage-counter.ts';
import type { UsageStore } from '../usage-store.ts';
import { apiPath } from './api-key-places-api.ts';
import { idempotencyKeyIn, parseBody, queryOf, readBody } from './api-key-requests-api.ts';
import type { Faulty } from './api-key-requests-api.ts';
import {
  creationRequest,
  keyBody,
  rotationRequest,
  termsOf,
  usageBody,
} from './api-key-shapes-api.ts';

interface Dependencies {
  mtlsOrigin: string;
  keys: Pick<ApiKeyStore, 'find' | 'list'>;
  issuing: Issuing;
  usage: UsageStore;
  clock: Clock;
}

/** A request of a client that has proven itself. */
export interface ClientRequest {
  clientId: string;
  /** Of the key; empty for the collection. */
  id: string;
}

/** Answers such a request; what is wrong with it otherwise. Problems of issuing, and of what can't be read. */
export type Handler = (ctx: Koa.Context, request: ClientRequest) => Promise<Faulty | undefined>;

const pageSize = 50;
const isId = (text: string) => /^[\da-f-]{36}$/.test(text);
const usageDays = 31;
const dayMs = 86_400_000;

/** What clients do with their keys. */
export function keyHandlers(deps: Dependencies) {
  const { create, rotate, revoke } = changingHandlers(deps);
  const { list, read, readUsage } = readingHandlers(deps);
  return {
    keys: { GET: list, POST: create },
    key: { GET: read, DELETE: revoke },
    rotate: { POST: rotate },
    usage: { GET: readUsage },
  } satisfies Record<string, Record<string, Handler>>;
}

function changingHandlers({ mtlsOrigin, issuing, clock }: Dependencies) {
  const create: Handler = async (ctx, { clientId }) => {
    const idempotency = idempotencyKeyIn(ctx);
    if ('faults' in idempotency) return idempotency;
    const text = await readBody(ctx);
    const parsed = parseBody(creationRequest, text);
    if ('faults' in parsed) return parsed;
    const { key } = idempotency;
    const client = { type: 'client', id: clientId } as const;
    const asked = {
      owner: client,
      terms: termsOf(parsed.request),
      idempotency: key === undefined ? undefined : { key, request: text },
    };
    const made = await issuing.create(asked, client);
    if ('faults' in made) return made;
    answerMade(ctx, made);
    return undefined;
  };

  const rotate: Handler = async (ctx, { clientId, id }) => {
    const parsed = parseBody(rotationRequest, await readBody(ctx));
    if ('faults' in parsed) return parsed;
    const { overlap_seconds: overlapSeconds, expires_at: end } = parsed.request;
    const request = { overlapSeconds, expiresAt: end === undefined ? undefined : new Date(end) };
    const made = await issuing.rotate(id, request, { type: 'client', id: clientId });
    if ('faults' in made) return made;
    answerMade(ctx, made);
    return undefined;
  };

  function answerMade(
    ctx: Koa.Context,
    { key, secret }: { key: Parameters<typeof keyBody>[0]; secret: string | undefined },
  ): void {
    ctx.status = 201;
    ctx.set('Location', `${mtlsOrigin}${apiPath}/keys/${key.id}`);
    ctx.body = { ...keyBody(key, clock.now()), key: secret };
  }

  const revoke: Handler = async (ctx, { clientId, id }) => {
    await issuing.revoke(id, { type: 'client', id: clientId });
    ctx.status = 204;
    return undefined;
  };

  return { create, rotate, revoke };
}

function readingHandlers({ keys, usage, clock }: Dependencies) {
  async function ownKey(clientId: string, id: string) {
    const key = await keys.find(id, clientId);
    if (key === undefined) throw new Problem('api_key_not_found', { detail: `${id}, ${clientId}` });
    return key;
  }

  const list: Handler = async (ctx, { clientId }) => {
    const { after } = queryOf(ctx, { after: isId });
    const owner = { type: 'client', id: clientId } as const;
    // One of another client's keys would tell when that was made.
    if (after !== undefined) await ownKey(clientId, after);
    const found = await keys.list({ owner, after, limit: pageSize + 1 });
    const page = found.slice(0, pageSize);
    const next = found.length > pageSize ? page.at(-1)?.id : undefined;
    ctx.body = { keys: page.map((key) => keyBody(key, clock.now())), next };
    return undefined;
  };

  const read: Handler = async (ctx, { clientId, id }) => {
    ctx.body = keyBody(await ownKey(clientId, id), clock.now());
    return undefined;
  };

  const readUsage: Handler = async (ctx, { clientId, id }) => {
    await ownKey(clientId, id);
    const now = clock.now();
    const asked = queryOf(ctx, { from: isDay, to: isDay });
    const from = asked.from ?? dayOf(new Date(now.getTime() - (usageDays - 1) * dayMs));
    ctx.body = usageBody(await usage.of(id, { from, to: asked.to ?? dayOf(now) }));
    return undefined;
  };

  return { list, read, readUsage };
}
