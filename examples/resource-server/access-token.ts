import { createHash } from 'node:crypto';
import type { X509Certificate } from 'node:crypto';
import { errors, jwtVerify } from 'jose';
import type { JWTPayload, JWTVerifyGetKey } from 'jose';
import { Refusal } from './refusal.ts';

/** What an access token says (RFC 9068 §2.2), after every check. */
export interface AccessTokenClaims {
  /** The customer, or the client itself where no customer took part. */
  sub: string;
  clientId: string;
  scopes: readonly string[];
  /** Unix time in seconds. */
  expiresAt: number;
}

/** What a token is checked against. */
export interface AccessTokenChecks {
  issuer: string;
  /** Our own identifier, which has to be in `aud`. */
  identifier: string;
  keys: JWTVerifyGetKey;
  now: () => Date;
}

/** Asymmetric only: with an HS* among them, anybody could sign with the public key. */
const algorithms = ['RS256', 'PS256', 'ES256', 'EdDSA'];

/** How a token is presented: by itself, or with a proof of the key that it is bound to (RFC 9449 §7.1). */
export interface PresentedToken {
  scheme: 'Bearer' | 'DPoP';
  token: string;
}

/** The token in an `Authorization` header (RFC 6750 §2.1, RFC 9449 §7.1). Throws a {@link Refusal}. */
export function presentedToken(authorization: string | undefined): PresentedToken {
  if (authorization === undefined || !/^(?:bearer|dpop)(?: |$)/i.test(authorization)) {
    throw new Refusal(undefined, 'a bearer token is needed');
  }
  const token = /^[a-z]+ +(?<token>[\w.~+/-]+=*)$/i.exec(authorization)?.groups?.['token'];
  if (token === undefined) throw new Refusal('invalid_request', 'the token is malformed');
  return { scheme: /^dpop/i.test(authorization) ? 'DPoP' : 'Bearer', token };
}

/** What the sender has shown besides the token. */
export interface SenderProof {
  certificate: X509Certificate | undefined;
  /** The thumbprint of the key whose DPoP proof was verified. */
  keyThumbprint: string | undefined;
}

/**
 * Verifies a JWT access token without asking the issuer (RFC 9068 §4), and that it is presented with the certificate
 * (RFC 8705 §3) or key (RFC 9449 §7.1) that it is bound to. Throws a {@link Refusal}, and other errors when the issuer's keys can't be fetched.
 */
export async function verifyAccessToken(
  token: string,
  sender: SenderProof,
  checks: AccessTokenChecks,
): Promise<AccessTokenClaims> {
  const payload = await verifiedPayload(token, checks);
  checkBinding(payload['cnf'], sender);
  return {
    sub: String(payload.sub),
    clientId: String(payload['client_id']),
    scopes: typeof payload['scope'] === 'string' ? payload['scope'].split(' ') : [],
    expiresAt: payload.exp ?? 0,
  };
}

async function verifiedPayload(token: string, checks: AccessTokenChecks): Promise<JWTPayload> {
  try {
    const { payload } = await jwtVerify(token, checks.keys, {
      algorithms,
      typ: 'at+jwt', // an ID token of the same issuer is no access token
      issuer: checks.issuer,
      audience: checks.identifier,
      requiredClaims: ['exp', 'iat', 'jti', 'sub', 'client_id'],
      currentDate: checks.now(),
    });
    return payload;
  } catch (error) {
    throw asRefusal(error);
  }
}

/** Errors that are the token's fault. Any other, such as unreachable keys, is ours and no reason to say 401. */
const faultsOfTheToken = [
  errors.JWTInvalid,
  errors.JWTClaimValidationFailed,
  errors.JWSInvalid,
  errors.JWSSignatureVerificationFailed,
  errors.JOSEAlgNotAllowed,
  errors.JOSENotSupported,
  errors.JWKSNoMatchingKey,
  errors.JWKSMultipleMatchingKeys,
];

function asRefusal(error: unknown): unknown {
  if (error instanceof errors.JWTExpired) {
    return new Refusal('invalid_token', 'the token has expired');
  }
  const isTokensFault = faultsOfTheToken.some((fault) => error instanceof fault);
  return isTokensFault ? new Refusal('invalid_token', 'the token is not valid here') : error;
}

/** A token without `cnf` is bound to nothing; of one that is bound, each binding has to be shown. */
function checkBinding(confirmation: unknown, { certificate, keyThumbprint }: SenderProof): void {
  const {
    'x5t#S256': bound,
    jkt,
    ...others
  } = Object(confirmation ?? {}) as Record<string, unknown>;
  const isUnknown = bound === undefined && jkt === undefined && confirmation !== undefined;
  if (isUnknown || Object.keys(others).length > 0) {
    throw new Refusal('invalid_token', 'the token is bound in a way that is not known here');
  }
  if (bound !== undefined) checkCertificate(bound, certificate);
  if (jkt !== keyThumbprint) {
    // Also a proof for a token that is bound to no key (RFC 9449 §7.1).
    throw new Refusal('invalid_token', 'the token is not bound to the key of the proof');
  }
}

function checkCertificate(expected: unknown, certificate: X509Certificate | undefined): void {
  if (certificate === undefined) {
    throw new Refusal('invalid_token', 'the token is bound and no certificate was presented');
  }
  if (thumbprint(certificate) !== expected) {
    throw new Refusal('invalid_token', 'the token is bound to another certificate');
  }
}

/** `x5t#S256` of a certificate: the SHA-256 of its DER, base64url. */
export function thumbprint({ raw }: X509Certificate): string {
  return createHash('sha256').update(raw).digest('base64url');
}
