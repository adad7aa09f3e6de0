import { presentedToken } from './resource-server/access-token.ts';
import { Refusal } from './resource-server/refusal.ts';

/** What a caller proves itself with. */
export type Credential =
  | { kind: 'token'; scheme: 'Bearer' | 'DPoP'; value: string }
  | { kind: 'api-key'; scheme: 'Bearer' | 'ApiKey'; value: string };

/** API keys may come as bearer tokens, or in a header of their own. */
const keyHeader = 'x-api-key';
const keyPrefix = /^ck_/;

/**
 * The one credential of a request. Throws a {@link Refusal}: without a code where there is none, and `invalid_request` for
 * several, because another server might take another one.
 */
export function presentedCredential(header: (name: string) => readonly string[]): Credential {
  const [key, second] = header(keyHeader);
  const authorization = header('authorization');
  if (key === undefined) return inAuthorization(authorization);
  if (second !== undefined || /^(?:bearer|dpop)(?: |$)/i.test(authorization[0] ?? '')) {
    throw new Refusal('invalid_request', 'there is more than one credential');
  }
  return { kind: 'api-key', scheme: 'ApiKey', value: key };
}

function inAuthorization(authorization: readonly string[]): Credential {
  const { scheme, value } = presentedToken(authorization);
  const isKey = scheme === 'Bearer' && keyPrefix.test(value);
  return isKey ? { kind: 'api-key', scheme, value } : { kind: 'token', scheme, value };
}
