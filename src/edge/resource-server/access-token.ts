import type { ConsentState } from './consent-status.ts';
import { Refusal } from './refusal.ts';
import type { Scheme } from './refusal.ts';

/** What an access token says, after every check. */
export interface AccessToken {
  /** The customer, or the client itself where no customer took part. */
  subject: string;
  clientId: string;
  scopes: readonly string[];
  /** Unix time in seconds. */
  expiresAt: number;
  /** The token's `jti`, for logs. */
  tokenId: string | undefined;
  /** The customer's permission that the token comes from. */
  grantId: string | undefined;
  consentId: string | undefined;
  /** The consent as it was within the last second; only where `consents` are asked for and the token names one. */
  consent: ConsentState | undefined;
  /** How and when the customer authenticated (RFC 9068 §2.2.1). */
  acr: string | undefined;
  authTime: number | undefined;
  /** RFC 9396. */
  authorizationDetails: readonly Readonly<Record<string, unknown>>[];
  /** All that the token, or its introspection, says. */
  claims: Readonly<Record<string, unknown>>;
}

/** A token as it was sent. */
export interface PresentedToken {
  scheme: Scheme;
  value: string;
}

/** The scheme that a caller uses, for the challenge; Bearer where there is none. */
export function schemeOf(authorization: readonly string[]): Scheme {
  return /^dpop(?: |$)/i.test(authorization[0] ?? '') ? 'DPoP' : 'Bearer';
}

/** No token of an issuer is longer; Node's own limit is 16 KiB for all headers. */
const maxTokenLength = 12_288;

/** The token in the `Authorization` header (RFC 6750 §2.1, RFC 9449 §7.1): nowhere else. Throws a {@link Refusal}. */
export function presentedToken(authorization: readonly string[]): PresentedToken {
  const [only, second] = authorization;
  if (second !== undefined) {
    throw new Refusal('invalid_request', 'there is more than one Authorization header');
  }
  if (only === undefined || !/^(?:bearer|dpop)(?: |$)/i.test(only)) {
    throw new Refusal(undefined, 'a token is needed');
  }
  const value = /^[a-z]+ +([\w.~+/-]+=*)$/i.exec(only)?.[1];
  if (value === undefined || value.length > maxTokenLength) {
    throw new Refusal('invalid_request', 'the Authorization header is malformed');
  }
  return { scheme: schemeOf(authorization), value };
}

/** What verified claims or an active introspection say. Throws a {@link Refusal} where something has the wrong type. */
export function accessTokenOf(claims: Readonly<Record<string, unknown>>): AccessToken {
  const clientId = text(claims, 'client_id');
  const expiresAt = seconds(claims, 'exp');
  if (clientId === undefined || expiresAt === undefined) throw incomplete();
  const details = claims['authorization_details'] ?? [];
  if (!Array.isArray(details)) throw incomplete();
  return {
    subject: text(claims, 'sub') ?? clientId,
    clientId,
    scopes: text(claims, 'scope')?.split(' ').filter(Boolean) ?? [],
    expiresAt,
    tokenId: text(claims, 'jti'),
    grantId: text(claims, 'grant_id'),
    consentId: text(claims, 'consent_id'),
    consent: undefined,
    acr: text(claims, 'acr'),
    authTime: seconds(claims, 'auth_time'),
    authorizationDetails: details as readonly Readonly<Record<string, unknown>>[],
    claims,
  };
}

/** Refuses tokens out of their time; `lead` is how many seconds the issuer's clock may be ahead, `now` in seconds. */
export function checkTimes(
  claims: Readonly<Record<string, unknown>>,
  { now, lead }: { now: number; lead: number },
): void {
  const [expires, issued, starts] = ['exp', 'iat', 'nbf'].map((name) => seconds(claims, name));
  if (expires === undefined || expires <= now) {
    throw new Refusal('invalid_token', 'the token has expired');
  }
  if ((issued ?? now) > now + lead || (starts ?? now) > now + lead) {
    throw new Refusal('invalid_token', 'the token is from the future');
  }
}

function text(claims: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const value = claims[name];
  if (value === undefined) return undefined;
  if (typeof value !== 'string' || value === '') throw incomplete();
  return value;
}

function seconds(claims: Readonly<Record<string, unknown>>, name: string): number | undefined {
  const value = claims[name];
  if (value === undefined) return undefined;
  if (typeof value !== 'number' || !Number.isFinite(value)) throw incomplete();
  return value;
}

function incomplete(): Refusal {
  return new Refusal('invalid_token', 'the token is not complete');
}
