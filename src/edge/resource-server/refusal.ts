/** Error codes of RFC 6750 §3.1, RFC 9449 §7.1 and §9, and RFC 9470 §3. */
export type RefusalCode =
  | 'invalid_request'
  | 'invalid_token'
  | 'insufficient_scope'
  | 'insufficient_user_authentication'
  | 'invalid_dpop_proof'
  | 'use_dpop_nonce';

/** What a challenge says besides its error: the scope (RFC 6750 §3), or how to authenticate (RFC 9470 §3). */
export interface Wanted {
  scope?: string;
  acr_values?: string;
  /** Seconds. */
  max_age?: string;
}

const statuses = {
  invalid_request: 400,
  invalid_token: 401,
  insufficient_scope: 403,
  insufficient_user_authentication: 401,
  invalid_dpop_proof: 401,
  use_dpop_nonce: 401,
} as const satisfies Record<RefusalCode, number>;

/** A request that is answered with a challenge instead of data. */
export class Refusal extends Error {
  readonly status: 400 | 401 | 403;
  /** Undefined when the request had no token at all: such a caller is only told what to bring (RFC 6750 §3.1). */
  readonly code: RefusalCode | undefined;
  readonly wanted: Wanted;

  /** `description` goes to the caller: printable ASCII without `"` and `\`. */
  constructor(code: RefusalCode | undefined, description: string, wanted: Wanted = {}) {
    super(description);
    this.name = 'Refusal';
    this.code = code;
    this.wanted = wanted;
    this.status = code === undefined ? 401 : statuses[code];
  }
}

/** It can't be known whether a token is good, because somebody who must be asked does not answer: 503, and nobody gets in. */
export class Unavailable extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'Unavailable';
  }
}

/** Whether a word may stand in a challenge: printable ASCII without space, `"` and `\` (RFC 6749 §3.3). */
export function isPlain(word: string): boolean {
  return /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(word);
}

/** How a token is presented. */
export type Scheme = 'Bearer' | 'DPoP';

/** The values of `WWW-Authenticate`: one in the caller's scheme, or one of each for who brought no token. */
export function challengesOf(
  refusal: Refusal,
  { realm, scheme, algorithms }: { realm: string; scheme: Scheme; algorithms: readonly string[] },
): string[] {
  const { code, message, wanted } = refusal;
  const members = {
    realm,
    ...(code === undefined ? {} : { error: code, error_description: message }),
    ...wanted,
  };
  const text = Object.entries(members)
    .map(([name, value]) => `${name}="${value}"`)
    .join(', ');
  const challenges = {
    Bearer: `Bearer ${text}`,
    DPoP: `DPoP ${text}, algs="${algorithms.join(' ')}"`,
  };
  return code === undefined ? [challenges.Bearer, challenges.DPoP] : [challenges[scheme]];
}
