import { errors } from 'oidc-provider';
import type { Client, KoaContextWithOIDC, ResourceServer } from 'oidc-provider';
import type { Clients, ResourceServers, Share, TokenAudience } from './ports.ts';

interface Dependencies {
  clients: Pick<Clients, 'permissionsOf'>;
  resourceServers: ResourceServers;
  defaultResource: string | undefined;
  /** Algorithms for which a key signs. */
  algorithms: readonly string[];
}

/** OpenID scopes: they open userinfo, not a resource server. */
export const openidScopes = ['openid', 'offline_access', 'profile', 'email', 'phone', 'address'];

/** Begins the scope by which a request names a consent. */
export const consentScopePrefix = 'consent:';

/** Resource indicators (RFC 8707): which resource server a token is for and what its client may ask there. */
export function resourceShare(dependencies: Dependencies): Share {
  return {
    features: {
      resourceIndicators: {
        enabled: true,
        // A token request without `resource` is about the one that the customer allowed.
        useGrantedResource: () => true,
        defaultResource: (ctx, client, oneOf) =>
          oneOf === undefined
            ? resourceByDefault(dependencies, ctx, client)
            : oneOfSeveral(oneOf, dependencies),
        getResourceServerInfo: (ctx, resource, client) =>
          permittedResource(dependencies, { ctx, resource, client }),
      },
    },
  };
}

/** A token is for one resource server: of several, the default one unless the client names another. */
function oneOfSeveral(
  granted: readonly string[],
  { defaultResource }: Dependencies,
): string | string[] {
  if (defaultResource === undefined || !granted.includes(defaultResource)) return [...granted];
  return defaultResource;
}

/**
 * The configured default resource server, else the first one that the client may use, where the request asks for more
 * than OpenID scopes. Undefined means a token for userinfo.
 */
async function resourceByDefault(
  { clients, defaultResource }: Dependencies,
  ctx: KoaContextWithOIDC,
  client: Client,
): Promise<string | string[]> {
  const requested = requestedResourceScopes(ctx);
  const none = undefined as unknown as string; // the types don't know that oidc-provider accepts undefined
  if (requested.length === 0 && isAboutLoginOnly(ctx)) return none;
  const permissions = await clients.permissionsOf(client.clientId);
  if (defaultResource !== undefined && Object.hasOwn(permissions, defaultResource)) {
    return defaultResource;
  }
  const permitted = Object.entries(permissions);
  const [fitting] = permitted.filter(([, scopes]) => requested.every((s) => scopes.includes(s)));
  const first = (fitting ?? permitted[0])?.[0];
  if (first === undefined && isClientCredentials(ctx)) {
    const detail = `client ${client.clientId} has no permission on any resource server`;
    throw new errors.InvalidTarget('there is no resource server for this client', detail);
  }
  return first ?? none;
}

/** Neither a machine nor authorization details, which need a resource server also without a scope. */
function isAboutLoginOnly(ctx: KoaContextWithOIDC): boolean {
  return ctx.oidc.params?.['authorization_details'] === undefined && !isClientCredentials(ctx);
}

async function permittedResource(
  { clients, resourceServers, algorithms }: Dependencies,
  request: { ctx: KoaContextWithOIDC; resource: string; client: Client },
): Promise<ResourceServer> {
  const { ctx, resource, client } = request;
  const audience = await resourceServers.find(resource);
  const permissions = await clients.permissionsOf(client.clientId);
  const permitted = Object.hasOwn(permissions, resource) ? permissions[resource] : undefined;
  if (audience === undefined || permitted === undefined) {
    throw new errors.InvalidTarget(
      'resource indicator is not allowed for this client',
      audience === undefined
        ? `there is no resource server ${resource}`
        : `client ${client.clientId} has no permission on ${resource}`,
    );
  }
  const scopes = permitted.filter((scope) => Object.hasOwn(audience.scopes, scope));
  if (isClientCredentials(ctx)) rejectScopesBeyond(scopes, requestedScopes(ctx));
  return {
    scope: scopes.join(' '),
    audience: audience.identifier,
    accessTokenTTL: audience.accessTokenTtlSeconds,
    ...tokenFormat(audience, algorithms),
  };
}

function tokenFormat(
  audience: TokenAudience,
  algorithms: readonly string[],
): Pick<ResourceServer, 'accessTokenFormat' | 'jwt'> {
  if (audience.accessTokenFormat === 'opaque') return { accessTokenFormat: 'opaque' };
  if (!algorithms.includes(audience.signingAlgorithm)) {
    // oidc-provider would take a retired key rather than none.
    throw new Error(`no key signs ${audience.signingAlgorithm} for ${audience.identifier}`);
  }
  return { accessTokenFormat: 'jwt', jwt: { sign: { alg: audience.signingAlgorithm } } };
}

/** oidc-provider would drop scopes that the client may not have; a machine is told instead (RFC 6749 §5.2). */
function rejectScopesBeyond(permitted: readonly string[], requested: readonly string[]): void {
  const beyond = requested.filter((scope) => !permitted.includes(scope));
  if (beyond.length > 0) {
    throw new errors.InvalidScope('requested scope is not allowed', beyond.join(' '));
  }
}

function requestedResourceScopes(ctx: KoaContextWithOIDC): string[] {
  return requestedScopes(ctx).filter(
    (name) => !openidScopes.includes(name) && !name.startsWith(consentScopePrefix),
  );
}

function requestedScopes(ctx: KoaContextWithOIDC): string[] {
  const scope = ctx.oidc.params?.['scope'];
  return typeof scope === 'string' ? scope.split(' ').filter(Boolean) : [];
}

function isClientCredentials(ctx: KoaContextWithOIDC): boolean {
  return ctx.oidc.params?.['grant_type'] === 'client_credentials';
}
