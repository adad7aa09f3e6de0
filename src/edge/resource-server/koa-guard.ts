import type { IncomingMessage } from 'node:http';
import type { AccessToken } from './access-token.ts';
import type { Judge } from './guard.ts';
import { nodeRequest } from './request.ts';
import type { Requirement } from './requirement.ts';

/** What is used of Koa's context. */
export interface KoaContext {
  req: IncomingMessage;
  originalUrl: string;
  state: object;
  status: number;
  body: unknown;
  set(name: string, value: string | string[]): void;
}

/** A Koa middleware. */
export type KoaGuard = (ctx: KoaContext, next: () => Promise<unknown>) => Promise<void>;

/** Lets requests pass that `judge` admits, with the token in `ctx.state.token`. */
export function koaGuard(judge: Judge, requirement: Requirement): KoaGuard {
  return async function guard(ctx, next) {
    const verdict = await judge(nodeRequest(ctx.req, ctx.originalUrl), requirement);
    const { headers } = 'token' in verdict ? verdict : verdict.refusal;
    for (const [name, value] of Object.entries(headers)) {
      ctx.set(name, typeof value === 'string' ? value : [...value]);
    }
    if ('token' in verdict) {
      (ctx.state as { token?: AccessToken }).token = verdict.token;
      await next();
    } else {
      ctx.status = verdict.refusal.status;
      ctx.body = verdict.refusal.body ?? '';
    }
  };
}
