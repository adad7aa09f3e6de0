import type { ProblemCode } from '../problem.ts';

/** The situations that the error page tells apart; the texts are `error.<situation>.*`. */
export type ErrorSituation =
  | 'app'
  | 'ended'
  | 'missing'
  | 'refused'
  | 'server'
  | 'stale'
  | 'unavailable'
  | 'unknown'
  | 'used'
  | 'wait';

/** RFC 6749 §4.1.2.1, OpenID Connect Core §3.1.2.6, RFC 8707, RFC 9126 and what oidc-provider adds. */
type OAuthErrorCode =
  | 'access_denied'
  | 'consent_required'
  | 'expired_token'
  | 'interaction_required'
  | 'invalid_client'
  | 'invalid_redirect_uri'
  | 'invalid_request_object'
  | 'invalid_request_uri'
  | 'invalid_scope'
  | 'invalid_target'
  | 'login_required'
  | 'registration_not_supported'
  | 'request_not_supported'
  | 'request_uri_not_supported'
  | 'slow_down'
  | 'unauthorized_client'
  | 'unmet_authentication_requirements'
  | 'unsupported_response_mode'
  | 'unsupported_response_type';

const situations = {
  access_denied: 'refused',
  client_invalid: 'app',
  client_not_found: 'app',
  consent_required: 'app',
  csrf_mismatch: 'stale',
  database_unavailable: 'unavailable',
  expired_token: 'ended',
  interaction_not_found: 'ended',
  interaction_required: 'app',
  interaction_used: 'used',
  invalid_client: 'app',
  invalid_redirect_uri: 'app',
  invalid_request: 'app',
  invalid_request_object: 'app',
  invalid_request_uri: 'app',
  invalid_scope: 'app',
  invalid_target: 'app',
  login_required: 'app',
  login_throttled: 'wait',
  method_not_allowed: 'missing',
  misdirected_request: 'missing',
  not_found: 'missing',
  registration_not_supported: 'app',
  request_given_up: 'unknown',
  request_not_supported: 'app',
  request_uri_not_supported: 'app',
  slow_down: 'wait',
  temporarily_unavailable: 'unavailable',
  too_many_requests: 'wait',
  unauthorized_client: 'app',
  unmet_authentication_requirements: 'app',
  unsupported_response_mode: 'app',
  unsupported_response_type: 'app',
} as const satisfies Partial<Record<ProblemCode | OAuthErrorCode, ErrorSituation>>;

/** The situation to describe for a failure's code; for one that nobody foresaw, our own fault. */
export function situationOf(code: string): ErrorSituation {
  return Object.hasOwn(situations, code) ? situations[code as keyof typeof situations] : 'server';
}
