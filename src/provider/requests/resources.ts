import { errors } from 'oidc-provider';
import type { Client, KoaContextWithOIDC, ResourceServer } from 'oidc-provider';
import { grantResource, grantResourceOf, isAboutGrants } from '../grants/grant-resource.ts';
import type { Clients, ResourceServers, Share, TokenAudience } from '../ports.ts';

/** What is known of resource servers and of who may ask for them. */
export interface ResourceDependencies {
  clients: Pick<Clients, 'permissionsOf'>;
  resourceServers: ResourceServers;
  defaultResource: string | undefined;
  issuer: string;
  /** Algorithms for which a key signs. */
  algorithms: readonly string[];
}

/** OpenID scopes: they open userinfo, not a resource server. */
export const openidScopes = ['openid', 'offline_access', 'profile', 'email', 'phone', 'address'];

/** Begins the scope by which a request names a consent. */
export const consentScopePrefix = 'consent:';

/** Resource indicators (RFC 8707): which resource server a token is for and what its client may ask there. */
export function resourceShare(dependencies: ResourceDependencies): Share {
  return {
    features: {
      resourceIndicators: {
        enabled: true,
        // A token request without `resource` is about the one that the customer allowed.
        useGrantedResource: () => true,
        defaultResource(ctx, client, oneOf) {
          rejectSeveralResources(ctx);
          if (oneOf !== undefined) return oneOfSeveral(presentedTo(ctx), oneOf, dependencies);
          const isGrants = isClientCredentials(ctx) && isAboutGrants(requestedScopes(ctx));
          if (isGrants) return grantResourceOf(dependencies.issuer);
          return resourceByDefault(dependencies, ctx, client);
        },
        getResourceServerInfo: (ctx, resource, client) =>
          permittedResource(dependencies, { ctx, resource, client }),
      },
    },
  };
}

/** A code or refresh token: that of a merge, which is for the whole grant, says what the merge was about. */
export interface Presented {
  mergedResource?: string | undefined;
}

function presentedTo({ oidc: { entities } }: KoaContextWithOIDC): Presented | undefined {
  const { RefreshToken, AuthorizationCode } = entities as Record<string, Presented | undefined>;
  return RefreshToken ?? AuthorizationCode;
}

/**
 * A token is for one resource server: of several, the one that the merge was about, or the default one, unless the client
 * names another. All of them where there is neither.
 */
export function oneOfSeveral(
  presented: Presented | undefined,
  granted: readonly string[],
  { defaultResource }: Pick<ResourceDependencies, 'defaultResource'>,
): string | string[] {
  const { mergedResource } = presented ?? {};
  if (mergedResource !== undefined && granted.includes(mergedResource)) return mergedResource;
  if (defaultResource === undefined || !granted.includes(defaultResource)) return [...granted];
  return defaultResource;
}

/**
 * The configured default resource server, else the first one that the client may use, where the request asks for more
 * than OpenID scopes. Undefined means a token for userinfo.
 */
async function resourceByDefault(
  { clients, defaultResource }: ResourceDependencies,
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
  { clients, resourceServers, algorithms, issuer }: ResourceDependencies,
  request: { ctx: KoaContextWithOIDC; resource: string; client: Client },
): Promise<ResourceServer> {
  const { ctx, resource, client } = request;
  rejectSeveralResources(ctx);
  if (resource === grantResourceOf(issuer)) {
    const server = grantResource(resource, { client, isMachine: isClientCredentials(ctx) });
    rejectScopesBeyond(server.scope.split(' '), requestedScopes(ctx));
    return server;
  }
  const audience = await resourceServers.find(resource);
  const permissions = await clients.permissionsOf(client.clientId);
  const scopes = audience && permittedScopes(permissions, audience);
  if (audience === undefined || scopes === undefined) {
    throw new errors.InvalidTarget(
      'resource indicator is not allowed for this client',
      audience === undefined
        ? `there is no resource server ${resource}`
        : `client ${client.clientId} has no permission on ${resource}`,
    );
  }
  if (isClientCredentials(ctx)) rejectScopesBeyond(scopes, requestedScopes(ctx));
  return {
    scope: scopes.join(' '),
    audience: audience.identifier,
    accessTokenTTL: audience.accessTokenTtlSeconds,
    ...tokenFormat(audience, algorithms),
  };
}

/** What a client with these permissions may ask of a resource server; undefined where it has none there. */
export function permittedScopes(
  permissions: Readonly<Record<string, readonly string[]>>,
  { identifier, scopes }: Pick<TokenAudience, 'identifier' | 'scopes'>,
): string[] | undefined {
  const permitted = Object.hasOwn(permissions, identifier) ? permissions[identifier] : undefined;
  return permitted?.filter((scope) => Object.hasOwn(scopes, scope));
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

/** A token is for one resource server (RFC 8707 §2.2): which of several is not ours to guess. */
function rejectSeveralResources({ oidc }: KoaContextWithOIDC): void {
  if (oidc.route !== 'token' || !Array.isArray(oidc.params?.['resource'])) return;
  throw new errors.InvalidTarget('only one resource may be named for a token');
}

/**
 * Refuses a refresh before its token is used up: for several resource servers, and for scopes that the customer granted
 * and that the client may no longer have. oidc-provider would drop these, to a token without any.
 */
export async function rejectUnfitRefresh(
  ctx: KoaContextWithOIDC,
  dependencies: ResourceDependencies,
): Promise<void> {
  rejectSeveralResources(ctx);
  const { client } = ctx.oidc;
  const resource = refreshedResource(ctx, dependencies);
  if (client === undefined || resource === undefined) return;
  const { scope } = await permittedResource(dependencies, { ctx, resource, client });
  const permitted = new Set(scope.split(' '));
  const granted = grantedScopes(ctx, resource);
  const lost = granted.filter((name) => !permitted.has(name));
  const asked = resourceScopesAmong(requestedScopes(ctx));
  if (asked.length > 0 && granted.length === 0) {
    throw new errors.InvalidScope('requested scope was not granted there', asked.join(' '));
  }
  // Without a `scope` it is about what is left, if anything is.
  const bearable = requestedScopes(ctx).length > 0 ? 0 : Math.max(0, granted.length - 1);
  if (lost.length <= bearable) return;
  throw new errors.InvalidScope('requested scope is not allowed', lost.join(' '));
}

/** The resource server that a refresh is for; undefined for userinfo, or where oidc-provider refuses to choose. */
function refreshedResource(
  ctx: KoaContextWithOIDC,
  dependencies: ResourceDependencies,
): string | undefined {
  const { oidc } = ctx;
  const named = oidc.params?.['resource'] ?? oidc.entities.RefreshToken?.resource;
  const resource = Array.isArray(named)
    ? oneOfSeveral(presentedTo(ctx), named as string[], dependencies)
    : named;
  return typeof resource === 'string' ? resource : undefined;
}

/** Of the scopes that a refresh is about, those that the customer granted for `resource`. */
function grantedScopes(ctx: KoaContextWithOIDC, resource: string): string[] {
  const { RefreshToken: token, Grant: grant } = ctx.oidc.entities;
  const requested = requestedScopes(ctx);
  const asked = requested.length > 0 ? requested : (token?.scope?.split(' ') ?? []);
  return grant?.getResourceScopeFiltered(resource, asked).split(' ').filter(Boolean) ?? [];
}

/** oidc-provider would drop scopes that the client may not have; a machine is told instead (RFC 6749 §5.2). */
function rejectScopesBeyond(permitted: readonly string[], requested: readonly string[]): void {
  const beyond = requested.filter((scope) => !permitted.includes(scope));
  if (beyond.length > 0) {
    throw new errors.InvalidScope('requested scope is not allowed', beyond.join(' '));
  }
}

function requestedResourceScopes(ctx: KoaContextWithOIDC): string[] {
  return resourceScopesAmong(requestedScopes(ctx));
}

/** The scopes that are a resource server's: neither OpenID's nor the name of a consent. */
export function resourceScopesAmong(scopes: readonly string[]): string[] {
  return scopes.filter(
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
