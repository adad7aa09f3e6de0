import type Koa from 'koa';
import { basicIn } from '../../http/credentials.ts';
import { Problem } from '../../problem.ts';
import type { AuthenticateServer } from '../api-key-ports.ts';
import type { VerifyKey } from '../verification.ts';
import { parseBody, readBody } from './api-key-requests-api.ts';
import type { Faulty } from './api-key-requests-api.ts';
import { verificationBody, verificationRequest } from './api-key-shapes-api.ts';

interface Dependencies {
  authenticate: AuthenticateServer;
  verify: VerifyKey;
}

/** Answers a resource server; what is wrong with its request otherwise. Problem('invalid_token') for anybody else. */
export type AnswerVerification = (ctx: Koa.Context) => Promise<Faulty | undefined>;

/** Tells resource servers, which authenticate as at introspection, what a key allows with them at this moment. */
export function createVerificationAnswer({
  authenticate,
  verify,
}: Dependencies): AnswerVerification {
  return async function answerVerification(ctx) {
    const server = await authenticate(ctx.req, basicIn(ctx));
    if (server === undefined) throw new Problem('invalid_token', { detail: 'no resource server' });
    const parsed = parseBody(verificationRequest, await readBody(ctx));
    if ('faults' in parsed) return parsed;
    const { key, address } = parsed.request;
    const verdict = await verify({ key, address, resourceServer: server.identifier });
    ctx.body = verificationBody(verdict);
    if (verdict.outcome === 'limited') {
      ctx.set('Retry-After', String(verdict.key.limit?.resetSeconds ?? 1));
    }
    return undefined;
  };
}
