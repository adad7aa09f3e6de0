/**
 * The closed list of failures: the code and the sentence that a caller may read.
 * What really happened travels in `detail` and `cause`, for the log only.
 */
export const problems = {
  invalid_request: 'The request is not valid.',
  not_found: 'There is nothing at this address.',
  method_not_allowed: 'This address does not answer to that method.',
  misdirected_request: 'This server does not answer for that host.',
  payload_too_large: 'The request is too large.',
  unsupported_media_type: 'The request body has a content type that is not accepted here.',
  interaction_not_found: 'This sign-in has ended or was started in another browser.',
  interaction_used: 'This step was already completed.',
  csrf_mismatch: 'The form is too old or was not sent from our page.',
  login_failed: 'The user name or password is not right.',
  too_many_requests: 'There are too many requests. Please come back later.',
  login_throttled: 'Too many attempts. Please wait before you try again.',
  client_invalid: 'The client is not valid.',
  client_not_found: 'There is no such client.',
  client_exists: 'There is already a client with this identifier.',
  resource_server_not_found: 'There is no such resource server.',
  resource_server_exists: 'There is already a resource server with this identifier.',
  resource_server_invalid: 'The resource server is not valid.',
  customer_not_found: 'There is no such customer.',
  customer_exists: 'There is already a customer with this user name.',
  customer_invalid: 'The customer is not valid.',
  password_too_short: 'The password is too short.',
  password_too_long: 'The password is too long.',
  password_too_common: 'The password is one of the most common ones.',
  signing_key_invalid: 'The signing key is not valid.',
  signing_key_act_refused: 'The signing keys do not allow this.',
  signer_unavailable: 'The service is not available at the moment.',
  certificate_invalid: 'The certificate is not valid.',
  outbound_refused: 'A request to another server was refused or failed.',
  configuration_invalid: 'The configuration is not valid.',
  already_running: 'The address is in use by another process.',
  invalid_redirect_uri: 'A redirect URI is not one that may be registered.',
  invalid_client_metadata: 'The client metadata is not acceptable.',
  invalid_software_statement: 'The software statement is not valid.',
  unapproved_software_statement: 'The software statement is not approved here.',
  invalid_token: 'The token is missing, not valid, or not for this.',
  consent_not_found: 'There is no such consent.',
  consent_invalid: 'The consent that is asked for is not acceptable.',
  consent_state: 'The consent is not in a state in which this can be done.',
  consent_changed: 'The consent was changed by somebody else at the same time.',
  evidence_invalid: 'The evidence does not hold.',
  idempotency_mismatch: 'The idempotency key was used for another request.',
  api_key_not_found: 'There is no such API key.',
  api_key_invalid: 'The API key that is asked for is not acceptable.',
  api_key_state: 'The API key is not in a state in which this can be done.',
  api_key_limit: 'There are too many API keys; revoke some first.',
  insufficient_scope: 'The token does not allow this.',
  event_stream_not_found: 'There is no such event stream.',
  event_stream_exists: 'There is already such an event stream.',
  event_stream_invalid: 'The event stream is not valid.',
  accounts_unavailable: 'The accounts can not be listed at the moment.',
  database_unavailable: 'The service is not available at the moment.',
  audit_failed: 'It was done, but could not be recorded in the audit trail.',
  migration_refused: 'The database schema does not fit this version.',
  embedded_database_failed: 'The embedded database did not start.',
  temporarily_unavailable: 'The service is not available at the moment.',
  request_given_up: 'The service is not available at the moment.',
  server_error: 'Something went wrong on our side.',
} as const;

/** One of the codes of {@link problems}. */
export type ProblemCode = keyof typeof problems;

/** A failure with two audiences: `code` goes out, `detail` and `cause` are logged. */
export class Problem extends Error {
  readonly code: ProblemCode;
  readonly detail: string | undefined;

  constructor(code: ProblemCode, options: { detail?: string; cause?: unknown } = {}) {
    super(options.detail === undefined ? problems[code] : `${problems[code]} ${options.detail}`, {
      cause: options.cause,
    });
    this.name = 'Problem';
    this.code = code;
    this.detail = options.detail;
  }

  /** The sentence that a caller may read. */
  get publicMessage(): string {
    return problems[this.code];
  }
}
