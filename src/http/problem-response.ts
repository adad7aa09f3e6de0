import type { Context, Middleware } from 'koa';
import type { Logger } from '../observability/logger.ts';
import { currentRequest } from '../observability/request-context.ts';
import { Problem, problems } from '../problem.ts';
import { failureOf, reasonOf, type Failure } from './failure.ts';

/** What an error page is about. */
export interface ErrorPage {
  /** A ProblemCode. */
  code: string;
  /** The request id, by which the log tells the rest. */
  reference: string;
}

/** What the mapping of errors stands on. */
export interface ProblemResponseOptions {
  logger: Logger;
  /** The HTML of the page; may set headers of pages, but not the status. */
  renderErrorPage: (ctx: Context, page: ErrorPage) => string | Promise<string>;
  /** Whether the error, or one that it was caused by, means that the database is away. */
  isDatabaseUnavailable: (error: unknown) => boolean;
  /** The methods that a path answers to, for paths that nothing answered; none for unknown paths. */
  allowedMethods?: (path: string) => readonly string[];
  /** Paths that only programs call: errors there are JSON, whatever `Accept` says. */
  isForPrograms?: (path: string) => boolean;
  /** Paths of our own APIs: errors there are problem documents (RFC 9457). */
  isApi?: (path: string) => boolean;
}

/** Long enough for a failover, short enough not to be noticed. */
const retryAfterSeconds = 5;

/** What a step may have said about the body that is not sent now. */
const bodyHeaders = [
  'Content-Disposition',
  'Content-Encoding',
  'Content-Language',
  'ETag',
  'Last-Modified',
  'Location',
];

function isUnanswered(ctx: Context): boolean {
  const hasBody = ctx.body !== undefined && ctx.body !== null;
  return !hasBody && !ctx.headerSent && ctx.respond !== false;
}

/** Gives a request that nobody answered its error: 405 if its path answers to other methods, else 404. */
function rejectUnanswered(ctx: Context, options: ProblemResponseOptions): void {
  if (!isUnanswered(ctx)) return;
  // @koa/router says 501 for methods that none of its routes has.
  if (ctx.status === 405 || ctx.status === 501) throw new Problem('method_not_allowed');
  if (ctx.status !== 404) return;
  const allowed = options.allowedMethods?.(ctx.path) ?? [];
  if (allowed.length === 0 || allowed.includes(ctx.method)) throw new Problem('not_found');
  ctx.set('Allow', allowed.join(', '));
  throw new Problem('method_not_allowed');
}

function logFailure(logger: Logger, failure: Failure, error: unknown): void {
  const fields = { problem: failure.code, status: failure.status };
  // A refusal is the caller's affair: where in our code it was found says nothing.
  if (failure.status < 500) logger.info('Request refused', { ...fields, reason: reasonOf(error) });
  else if (failure.status === 503) logger.warn('Request failed for now', { ...fields, error });
  else logger.error('Request failed', { ...fields, error });
}

async function pageOf(
  ctx: Context,
  options: ProblemResponseOptions,
  page: ErrorPage,
): Promise<string | undefined> {
  if (options.isForPrograms?.(ctx.path) === true) return undefined;
  // The first is for callers that take anything: programs.
  if (ctx.accepts('json', 'html') !== 'html') return undefined;
  try {
    return await options.renderErrorPage(ctx, page);
  } catch (error) {
    options.logger.error('Error page failed', { error });
    return undefined;
  }
}

async function respond(
  ctx: Context,
  options: ProblemResponseOptions,
  { code, status, pageCode = code }: Failure,
): Promise<void> {
  ctx.body = null;
  for (const header of bodyHeaders) ctx.remove(header);
  ctx.status = status;
  ctx.set('Cache-Control', 'no-store');
  ctx.vary('Accept');
  if (status === 503) ctx.set('Retry-After', String(retryAfterSeconds));
  const reference = currentRequest()?.requestId ?? 'none';
  const html = await pageOf(ctx, options, { code: pageCode, reference });
  if (html !== undefined) {
    ctx.type = 'text/html; charset=utf-8';
    ctx.body = html;
  } else if (options.isApi?.(ctx.path) === true) {
    ctx.type = 'application/problem+json; charset=utf-8';
    const type = `urn:countersign:problem:${code}`;
    ctx.body = JSON.stringify({ type, title: problems[code], status, code, reference });
  } else {
    ctx.type = 'application/json';
    ctx.body = { error: code, error_description: problems[code], reference };
  }
}

/**
 * The step that turns every error below it into a response: a page for browsers, else JSON with `error`, `error_description`
 * and `reference`. Nothing but the public sentence of a code goes out; the error with all its causes goes to the log, and its
 * reason to the request context. Requests that nobody answered become 404 or 405.
 */
export function problemResponse(options: ProblemResponseOptions): Middleware {
  return async (ctx, next) => {
    try {
      await next();
      rejectUnanswered(ctx, options);
    } catch (error) {
      const failure = failureOf(error, options.isDatabaseUnavailable);
      const request = currentRequest();
      if (request !== undefined) request.reason ??= reasonOf(error);
      logFailure(options.logger, failure, error);
      if (ctx.headerSent) ctx.res.destroy();
      else await respond(ctx, options, failure);
    }
  };
}
