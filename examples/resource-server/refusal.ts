/** Error codes of RFC 6750 §3.1 and RFC 9449 §7.1. */
export type RefusalCode =
  'invalid_request' | 'invalid_token' | 'insufficient_scope' | 'invalid_dpop_proof';

/** A request that is answered with a challenge instead of data (RFC 6750 §3). */
export class Refusal extends Error {
  readonly status: 400 | 401 | 403;
  /** Absent when the request had no token at all: such a caller is only told what to bring. */
  readonly code: RefusalCode | undefined;
  /** The scope that was missing. */
  readonly scope: string | undefined;

  /** `description` goes to the caller: printable ASCII without `"` and `\`. */
  constructor(code: RefusalCode | undefined, description: string, scope?: string) {
    super(description);
    this.name = 'Refusal';
    this.code = code;
    this.scope = scope;
    this.status = statusOf(code);
  }
}

/** The value of `WWW-Authenticate`, which names the scheme that the caller used. */
export function challengeOf(
  { code, message, scope }: Refusal,
  realm: string,
  scheme: 'Bearer' | 'DPoP',
): string {
  const parameters = [`realm="${realm}"`];
  if (code !== undefined) parameters.push(`error="${code}"`, `error_description="${message}"`);
  if (scope !== undefined) parameters.push(`scope="${scope}"`);
  if (scheme === 'DPoP') parameters.push('algs="ES256 PS256 EdDSA Ed25519"');
  return `${scheme} ${parameters.join(', ')}`;
}

function statusOf(code: RefusalCode | undefined): Refusal['status'] {
  switch (code) {
    case 'invalid_request':
      return 400;
    case 'insufficient_scope':
      return 403;
    case 'invalid_token':
    case 'invalid_dpop_proof':
    case undefined:
      return 401;
  }
}
