import type { AccessToken } from './access-token.ts';
import { isPlain, Refusal } from './refusal.ts';
import { expect, expectShape, isNumber, isOneOf, isText, isTexts } from './shape.ts';
import type { Shape } from './shape.ts';

/** What a route asks of a token. */
export interface Requirement {
  /** One scope, or several of which each is needed. */
  scope?: string | readonly string[];
  /** Ways to authenticate of which one is needed (`acr`, RFC 9470). */
  acr?: readonly string[];
  /** How many seconds ago the customer may have authenticated (RFC 9470). */
  maxAgeSeconds?: number;
  /** Whether a token that names no consent is refused; needs `consents`. */
  consent?: 'required';
  /** A permission that the consent must have; implies `consent`. */
  permission?: string;
}

type AuthenticatedToken = Pick<AccessToken, 'scopes' | 'acr' | 'authTime'>;

const requirementShape: Shape<Required<Requirement>> = {
  scope: (value) => typeof value === 'string' || isTexts(value),
  acr: isTexts,
  maxAgeSeconds: isNumber(0, Infinity),
  consent: isOneOf('required'),
  permission: isText,
};

/** TypeError for what could not be meant: it is told where the route is made, not when it is called. */
export function checkRequirement(requirement: Requirement, settings: { consents: boolean }): void {
  expectShape(requirement, requirementShape, 'requirement.');
  for (const word of [...scopesOf(requirement), ...(requirement.acr ?? [])]) {
    expect(isPlain(word), `no scope or acr: ${word}`);
  }
  const isAsked = !asksConsent(requirement) || settings.consents;
  expect(isAsked, 'a consent is required without `consents`');
}

/** Refuses a token that is good, but not for this route. Throws a {@link Refusal}. */
export function checkRequirementOf(
  requirement: Requirement,
  token: AuthenticatedToken,
  now: number,
): void {
  const scopes = scopesOf(requirement);
  if (scopes.some((scope) => !token.scopes.includes(scope))) {
    throw new Refusal('insufficient_scope', 'the token is not for this', {
      scope: scopes.join(' '),
    });
  }
  checkAuthentication(requirement, token, now);
}

/** Refuses a token without the consent, or permission, that the route needs. Throws a {@link Refusal}. */
export function checkConsentOf(requirement: Requirement, { consent }: AccessToken): void {
  const { permission } = requirement;
  if (asksConsent(requirement) && consent === undefined) {
    throw new Refusal('insufficient_scope', 'the token is under no consent');
  }
  if (permission !== undefined && consent?.permissions.includes(permission) !== true) {
    throw new Refusal('insufficient_scope', 'the consent does not allow this');
  }
}

/** RFC 9470 §3. */
function checkAuthentication(
  { acr, maxAgeSeconds }: Requirement,
  token: AuthenticatedToken,
  now: number,
): void {
  const isStrong = acr === undefined || (token.acr !== undefined && acr.includes(token.acr));
  const age = token.authTime === undefined ? Infinity : now - token.authTime;
  if (isStrong && (maxAgeSeconds === undefined || age <= maxAgeSeconds)) return;
  throw new Refusal(
    'insufficient_user_authentication',
    'the customer must authenticate in another way or again',
    {
      ...(acr === undefined ? {} : { acr_values: acr.join(' ') }),
      ...(maxAgeSeconds === undefined ? {} : { max_age: String(maxAgeSeconds) }),
    },
  );
}

function scopesOf({ scope = [] }: Requirement): readonly string[] {
  return typeof scope === 'string' ? scope.split(' ').filter(Boolean) : scope;
}

function asksConsent({ consent, permission }: Requirement): boolean {
  return consent !== undefined || permission !== undefined;
}
