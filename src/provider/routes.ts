/** Paths of the protocol endpoints. oidc-provider matches them leniently; `rejectAlmostEndpoints` does not. */
export const routes = {
  authorization: '/authorize',
  token: '/token',
  introspection: '/introspect',
  revocation: '/revoke',
  userinfo: '/userinfo',
  end_session: '/logout',
  jwks: '/jwks',
} as const;

/** Fixed paths that oidc-provider adds by itself. */
const wellKnown = [
  '/.well-known/openid-configuration',
  '/.well-known/oauth-authorization-server',
  `${routes.end_session}/confirm`,
  `${routes.end_session}/success`,
];

const exact = new Set<string>([...Object.values(routes), ...wellKnown]);

/**
 * Whether `path` is an endpoint's path in other letters or with a slash at the end. oidc-provider answers there too,
 * which rules keyed by path (limits, firewalls) don't expect.
 */
export function isAlmostEndpoint(path: string): boolean {
  const folded = path.toLowerCase().replace(/\/+$/, '');
  return path !== folded && exact.has(folded);
}
