import type { AccessToken } from './access-token.ts';
import type { Judge, RefusalAnswer } from './guard.ts';
import { fetchRequest } from './request.ts';
import type { Requirement } from './requirement.ts';

/** What a fetch `Request` does not tell of its connection. */
export interface Connection {
  /** As `TLSSocket.getPeerX509Certificate()` gives it. */
  certificate?: { raw: Uint8Array } | undefined;
}

/** Answers an admitted request. */
export type FetchHandler = (request: Request, token: AccessToken) => Response | Promise<Response>;

/** A fetch handler that refuses by itself. */
export type GuardedFetchHandler = (request: Request, connection?: Connection) => Promise<Response>;

/** Hands requests that `judge` admits to `handle`, with their token. */
export function fetchGuard(
  judge: Judge,
  requirement: Requirement,
  handle: FetchHandler,
): GuardedFetchHandler {
  return async function guarded(request, connection = {}) {
    const verdict = await judge(fetchRequest(request, connection.certificate), requirement);
    if (!('token' in verdict)) return responseOf(verdict.refusal);
    const response = await handle(request, verdict.token);
    const headers = Object.entries(verdict.headers);
    if (headers.length === 0) return response;
    // A response that was fetched can't be changed.
    const changed = new Response(response.body, response);
    for (const [name, value] of headers) changed.headers.set(name, value);
    return changed;
  };
}

function responseOf({ status, headers, body }: RefusalAnswer): Response {
  const response =
    body === undefined ? new Response(null, { status }) : Response.json(body, { status });
  for (const [name, values] of Object.entries(headers)) {
    for (const value of [values].flat()) response.headers.append(name, value);
  }
  return response;
}
