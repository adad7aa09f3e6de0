import type { Credential } from './credentials.ts';
import { proofAlgorithms } from './resource-server/dpop-proof.ts';
import type { Refusal } from './resource-server/refusal.ts';
import { challengesOf } from './resource-server/refusal.ts';
import type { EdgeRoute } from './route-policy.ts';

/** What a proxy is to answer instead of passing the request on. */
export interface RefusedRequest {
  outcome: 'denied' | 'unauthenticated' | 'forbidden' | 'limited' | 'unavailable';
  status: 401 | 403 | 429 | 503;
  headers: Readonly<Record<string, string>>;
  body: Readonly<Record<string, string>>;
  /** For the log. */
  reason: string;
}

/** A request that no route or no proxy of ours is for: the caller learns nothing. */
export function denied(reason: string): RefusedRequest {
  return { outcome: 'denied', status: 403, headers: {}, body: { error: 'access_denied' }, reason };
}

/** Too many requests (RFC 6585 §4), or nobody who could tell. */
export function notAdmitted(admission: {
  resetSeconds: number;
  unavailable: boolean;
}): RefusedRequest {
  const { resetSeconds, unavailable } = admission;
  const headers = { 'Retry-After': String(Math.max(1, Math.ceil(resetSeconds))) };
  if (unavailable) {
    const body = { error: 'temporarily_unavailable' };
    return { outcome: 'unavailable', status: 503, headers, body, reason: 'no store of limits' };
  }
  const body = { error: 'too_many_requests' };
  return { outcome: 'limited', status: 429, headers, body, reason: 'too many requests' };
}

/** A request that is not allowed, with the challenge for its route. NGINX knows no other answers than 401 and 403. */
export function refusedBy(
  refusal: Refusal,
  route: Pick<EdgeRoute, 'resourceServer' | 'credentials'>,
  scheme: Credential['scheme'] | undefined,
): RefusedRequest {
  const { code, message, status } = refusal;
  const isForbidden = status === 403;
  return {
    outcome: isForbidden ? 'forbidden' : 'unauthenticated',
    status: isForbidden ? 403 : 401,
    // In one line, as NGINX hands on no more (RFC 9110 §11.6.1).
    headers: { 'WWW-Authenticate': challengesFor(refusal, route, scheme).join(', ') },
    body: code === undefined ? {} : { error: code, error_description: message },
    reason: message,
  };
}

/** Without a credential, one for each that the route takes; else in the caller's own scheme. */
function challengesFor(
  refusal: Refusal,
  { resourceServer: realm, credentials }: Pick<EdgeRoute, 'resourceServer' | 'credentials'>,
  scheme: Credential['scheme'] | undefined,
): string[] {
  // The scheme of API keys is not registered; its form is that of RFC 9110 §11.6.1.
  const ofKey = `ApiKey realm="${realm}"`;
  const named = refusal.code === undefined ? ofKey : `${ofKey}, error="${refusal.code}"`;
  if (scheme === 'ApiKey') return [named];
  const challenges = challengesOf(refusal, {
    ...{ realm, scheme: scheme ?? 'Bearer', algorithms: proofAlgorithms },
  });
  if (refusal.code !== undefined) return challenges;
  return [
    ...(credentials.includes('token') ? challenges : []),
    ...(credentials.includes('api-key') ? [ofKey] : []),
  ];
}
