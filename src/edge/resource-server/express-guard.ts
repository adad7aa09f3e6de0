import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Judge } from './guard.ts';
import { nodeRequest } from './request.ts';
import type { Requirement } from './requirement.ts';

/** What is used of Express's request. */
export interface ExpressRequest extends IncomingMessage {
  originalUrl: string;
}

/** What is used of Express's response. */
export interface ExpressResponse extends ServerResponse {
  locals: Record<string, unknown>;
}

/** An Express 5 middleware. */
export type ExpressGuard = (
  request: ExpressRequest,
  response: ExpressResponse,
  next: () => void,
) => Promise<void>;

/** Lets requests pass that `judge` admits, with the token in `response.locals.token`. */
export function expressGuard(judge: Judge, requirement: Requirement): ExpressGuard {
  return async function guard(request, response, next) {
    const verdict = await judge(nodeRequest(request, request.originalUrl), requirement);
    const { headers } = 'token' in verdict ? verdict : verdict.refusal;
    for (const [name, value] of Object.entries(headers)) {
      response.setHeader(name, value);
    }
    if ('token' in verdict) {
      response.locals['token'] = verdict.token;
      next();
      return;
    }
    const { status, body } = verdict.refusal;
    response.statusCode = status;
    if (body !== undefined) response.setHeader('content-type', 'application/json; charset=utf-8');
    response.end(body === undefined ? undefined : JSON.stringify(body));
  };
}
