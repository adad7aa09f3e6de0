import { Problem } from '../problem.ts';

/** An API that accepts our access tokens. */
export interface ResourceServer {
  /** The absolute URI that clients name in `resource` and tokens carry in `aud` (RFC 8707). */
  identifier: string;
  name: string;
  accessTokenFormat: 'jwt' | 'opaque';
  accessTokenTtlSeconds: number;
  signingAlgorithm: 'RS256' | 'PS256' | 'ES256' | 'EdDSA';
  /** The client as which it authenticates at the introspection endpoint. */
  introspectionClientId: string | undefined;
  source: 'file' | 'operator';
  /** Scope → locale → the sentence that the consent page shows. */
  scopes: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

const openidScopes = ['openid', 'offline_access', 'profile', 'email', 'phone', 'address'];

/** RFC 8707 §2 and RFC 6749 §3.3. Problem('resource_server_invalid') names every fault at once. */
export function checkResourceServer(resourceServer: ResourceServer): ResourceServer {
  const { identifier, scopes, accessTokenTtlSeconds } = resourceServer;
  const faults: string[] = [];
  if (!URL.canParse(identifier)) faults.push('the identifier is not an absolute URI');
  if (identifier.includes('#')) faults.push('the identifier has a fragment');
  if (accessTokenTtlSeconds < 60 || accessTokenTtlSeconds > 900) {
    faults.push('access tokens live 60 to 900 seconds');
  }
  for (const scope of Object.keys(scopes)) {
    if (!/^[\x21\x23-\x5B\x5D-\x7E]{1,100}$/.test(scope))
      faults.push(`scope ${scope} is malformed`);
    if (openidScopes.includes(scope)) faults.push(`scope ${scope} belongs to OpenID Connect`);
  }
  if (faults.length > 0)
    throw new Problem('resource_server_invalid', { detail: faults.join('; ') });
  return resourceServer;
}
