/** Paths of the protocol endpoints. oidc-provider matches them leniently; `rejectAlmostEndpoints` does not. */
export const routes = {
  authorization: '/authorize',
  pushed_authorization_request: '/par',
  token: '/token',
  introspection: '/introspect',
  revocation: '/revoke',
  userinfo: '/userinfo',
  end_session: '/logout',
  jwks: '/jwks',
} as const;

/**
 * Endpoints at which scripts of other origins may read answers: of clients without a secret, or of any client's. RFC 9700 §2.6
 * wants none at the authorization endpoint.
 */
export const scriptedEndpoints = {
  [routes.pushed_authorization_request]: 'browser',
  [routes.token]: 'browser',
  [routes.introspection]: 'browser',
  [routes.revocation]: 'browser',
  [routes.userinfo]: 'any',
} as const;

/** Client registration, which is ours and not oidc-provider's; each registration has its own path below. */
export const registrationPath = '/register';

/** The grant management endpoint, ours too; each grant has its own path below. */
export const grantsPath = '/grants';

/** What else of ours programs alone call, each with all that is below it: the consent APIs, and in development a resource. */
export const programPaths: readonly string[] = [
  registrationPath,
  grantsPath,
  '/consents/v1',
  '/api-keys/v1',
  '/edge/verify',
  '/open-banking/v4.0',
  '/events/v1',
  '/.well-known/ssf-configuration',
  '/development/resource',
];

/** Our own APIs, whose errors are problem documents. */
export const apiPaths: readonly string[] = ['/consents', '/api-keys', '/open-banking'];

/** Fixed paths that oidc-provider adds by itself. */
const wellKnown = [
  '/.well-known/openid-configuration',
  '/.well-known/oauth-authorization-server',
  `${routes.end_session}/confirm`,
  `${routes.end_session}/success`,
];

const exact = new Set<string>([...Object.values(routes), ...wellKnown, registrationPath]);

/**
 * Whether `path` is an endpoint's path in other letters or with a slash at the end. oidc-provider answers there too,
 * which rules keyed by path (limits, firewalls) don't expect.
 */
export function isAlmostEndpoint(path: string): boolean {
  if (exact.has(path)) return false;
  const folded = path.toLowerCase().replace(/\/+$/, '');
  return path !== folded && exact.has(folded);
}
