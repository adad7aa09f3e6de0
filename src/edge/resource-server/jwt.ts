import { errors, jwtVerify } from 'jose';
import type { JWTPayload, JWTVerifyGetKey } from 'jose';
import { checkTimes } from './access-token.ts';
import type { Settings } from './options.ts';
import { Refusal } from './refusal.ts';

/** Whether a token looks like a JWT; every other one is opaque. */
export function isJwt(token: string): boolean {
  return /^eyJ[\w-]*\.[\w-]*\.[\w-]*$/.test(token);
}

/** Longer than any clock lead: the times that jose looks at with it are checked once more without. */
const toleranceSeconds = 60;

/**
 * Verifies a JWT access token (RFC 9068 §4): signature, `alg`, `typ`, `iss`, `aud`, times. Rejects with a {@link Refusal}, and with
 * other errors where the keys can't be had.
 */
export function createJwtVerifier(
  settings: Pick<Settings, 'issuer' | 'audience' | 'algorithms' | 'clockLeadSeconds' | 'now'>,
  keys: JWTVerifyGetKey,
): (token: string) => Promise<JWTPayload> {
  const { issuer, audience, clockLeadSeconds: lead, now } = settings;
  const fixed = {
    algorithms: [...settings.algorithms],
    typ: 'at+jwt', // an ID token of the same issuer is no access token
    ...{ issuer, audience },
    requiredClaims: ['exp', 'iat', 'jti', 'sub', 'client_id'],
    clockTolerance: toleranceSeconds,
  };

  return async function verifyJwt(token) {
    const currentDate = now();
    try {
      const { payload } = await jwtVerify(token, keys, { ...fixed, currentDate });
      checkTimes(payload, { now: Math.floor(currentDate.getTime() / 1000), lead });
      return payload;
    } catch (error) {
      throw asRefusal(error);
    }
  };
}

function asRefusal(error: unknown): unknown {
  if (error instanceof errors.JWTExpired) {
    return new Refusal('invalid_token', 'the token has expired');
  }
  // Every other error of jose is the token's fault; those of the keys are no JOSEErrors, but for what no key fits.
  return error instanceof errors.JOSEError
    ? new Refusal('invalid_token', 'the token is not valid here')
    : error;
}
