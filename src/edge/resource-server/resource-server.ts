import { expressGuard } from './express-guard.ts';
import type { ExpressGuard } from './express-guard.ts';
import { fetchGuard } from './fetch-guard.ts';
import type { FetchHandler, GuardedFetchHandler } from './fetch-guard.ts';
import { koaGuard } from './koa-guard.ts';
import type { KoaGuard } from './koa-guard.ts';
import { createGuard } from './guard.ts';
import type { Judge, Verdict } from './guard.ts';
import { settle } from './options.ts';
import type { ResourceServerOptions } from './options.ts';
import type { ProtectedRequest } from './request.ts';
import { checkRequirement } from './requirement.ts';
import type { Requirement } from './requirement.ts';

export type { AccessToken } from './access-token.ts';
export type { ConsentState } from './consent-status.ts';
export type { RefusalAnswer, Verdict } from './guard.ts';
export type {
  DpopOptions,
  ProxyOptions,
  ReplayMemory,
  ResourceServerOptions,
  TokenAlgorithm,
} from './options.ts';
export type { ProtectedRequest } from './request.ts';
export type { Requirement } from './requirement.ts';

/** What protects an API. */
export interface ResourceServer {
  /** Koa middleware; the token is in `ctx.state.token`. */
  koa(requirement?: Requirement): KoaGuard;
  /** Express 5 middleware; the token is in `response.locals.token`. */
  express(requirement?: Requirement): ExpressGuard;
  /** Fetch handler around `handle`, which gets the token; certificates come by the second argument of what it gives. */
  fetch(requirement: Requirement, handle: FetchHandler): GuardedFetchHandler;
  /** For any other framework; never rejects. */
  judge(request: ProtectedRequest, requirement?: Requirement): Promise<Verdict>;
}

/**
 * Protects an API with access tokens of Countersign: signature, `iss`, `aud`, `typ`, times, binding to the caller (RFC 8705, RFC 9449),
 * scope, step-up (RFC 9470) and, where wanted, introspection and the state of the consent. Refusals are answered as
 * RFC 6750 says, and 503 where the issuer is needed and does not answer. TypeError for options that could not be meant.
 *
 * Keys, proofs and answers are remembered in what this gives: make one for the process.
 */
export function createResourceServer(options: ResourceServerOptions): ResourceServer {
  const settings = settle(options);
  const judge = createGuard(settings, options.dpop?.replays);

  function judgeFor(requirement: Requirement): Judge {
    checkRequirement(requirement, settings);
    return judge;
  }

  return {
    koa: (requirement = {}) => koaGuard(judgeFor(requirement), requirement),
    express: (requirement = {}) => expressGuard(judgeFor(requirement), requirement),
    fetch: (requirement, handle) => fetchGuard(judgeFor(requirement), requirement, handle),
    judge: (request, requirement = {}) => judgeFor(requirement)(request, requirement),
  };
}
