import { Problem, type ProblemCode } from '../problem.ts';

/** How a failure looks from outside. */
export interface Failure {
  /** The code that the caller sees. */
  code: ProblemCode;
  status: number;
  /** The code that a page is about, where customers must be told more than programs. */
  pageCode?: ProblemCode;
}

/** HTTP statuses (RFC 9110 §15, RFC 6585 §4) of failures; a new code doesn't compile until it has one. */
const statuses = {
  invalid_request: 400,
  not_found: 404,
  method_not_allowed: 405,
  misdirected_request: 421,
  payload_too_large: 413,
  unsupported_media_type: 415,
  interaction_not_found: 400,
  interaction_used: 409,
  csrf_mismatch: 403,
  login_failed: 400,
  login_throttled: 429,
  too_many_requests: 429,
  client_invalid: 400,
  client_not_found: 404,
  client_exists: 409,
  resource_server_not_found: 404,
  resource_server_exists: 409,
  resource_server_invalid: 400,
  customer_not_found: 404,
  customer_exists: 409,
  customer_invalid: 400,
  password_too_short: 400,
  password_too_long: 400,
  password_too_common: 400,
  signing_key_invalid: 500,
  signing_key_act_refused: 500,
  signer_unavailable: 503,
  certificate_invalid: 400,
  outbound_refused: 500,
  configuration_invalid: 500,
  already_running: 500,
  invalid_redirect_uri: 400,
  invalid_client_metadata: 400,
  invalid_software_statement: 400,
  unapproved_software_statement: 400,
  invalid_token: 401,
  consent_not_found: 404,
  consent_invalid: 400,
  consent_state: 409,
  consent_changed: 409,
  evidence_invalid: 400,
  idempotency_mismatch: 409,
  api_key_not_found: 404,
  api_key_invalid: 400,
  api_key_state: 409,
  api_key_limit: 409,
  insufficient_scope: 403,
  event_stream_not_found: 404,
  event_stream_exists: 409,
  event_stream_invalid: 400,
  accounts_unavailable: 503,
  database_unavailable: 503,
  audit_failed: 500,
  migration_refused: 500,
  embedded_database_failed: 500,
  temporarily_unavailable: 503,
  request_given_up: 503,
  server_error: 500,
} as const satisfies Record<ProblemCode, number>;

const codesOfHttpErrors: Readonly<Partial<Record<number, ProblemCode>>> = {
  404: 'not_found',
  405: 'method_not_allowed',
  413: 'payload_too_large',
  415: 'unsupported_media_type',
  421: 'misdirected_request',
  429: 'too_many_requests',
};

const maxCauses = 10;

/** The error and its causes, the outermost first. */
function causesOf(error: unknown): unknown[] {
  const causes: unknown[] = [];
  let next = error;
  while (next !== undefined && causes.length < maxCauses) {
    causes.push(next);
    next = next instanceof Error ? next.cause : undefined;
  }
  return causes;
}

/** Koa, its middlewares and oidc-provider mark what a caller may see with `expose` and a status below 500. */
function statusOfExposed(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const { status, expose } = error as Record<string, unknown>;
  if (expose !== true || typeof status !== 'number') return undefined;
  return Number.isInteger(status) && status >= 400 && status < 500 ? status : undefined;
}

function failureOfCaller(error: unknown): Failure | undefined {
  if (error instanceof Problem) {
    const status = statuses[error.code];
    return status < 500 ? { code: error.code, status } : undefined;
  }
  const status = statusOfExposed(error);
  if (status === undefined) return undefined;
  return { code: codesOfHttpErrors[status] ?? 'invalid_request', status };
}

/**
 * What may be said about an error. Whoever threw it knows best whether the caller is at fault; of the rest, an absent database
 * is `temporarily_unavailable`, and everything else, such as configuration_invalid, is `server_error` to the outside.
 */
export function failureOf(
  error: unknown,
  isDatabaseUnavailable: (error: unknown) => boolean,
): Failure {
  const refusal = failureOfCaller(error);
  if (refusal !== undefined) return refusal;
  if (error instanceof Problem && error.code === 'request_given_up') {
    return { code: 'temporarily_unavailable', status: 503, pageCode: error.code };
  }
  const isForNow = error instanceof Problem && statuses[error.code] === 503;
  return isForNow || causesOf(error).some(isDatabaseUnavailable)
    ? { code: 'temporarily_unavailable', status: 503 }
    : { code: 'server_error', status: 500 };
}

/** The messages of an error and all its causes in one line, for the log; Prisma's have several lines. */
export function reasonOf(error: unknown): string {
  return causesOf(error)
    .map((cause) => (cause instanceof Error ? cause.message : String(cause)))
    .join(' <- ')
    .replaceAll(/\s+/g, ' ')
    .trim();
}
