import { createHash } from 'node:crypto';
import Provider from 'oidc-provider';
import type { AccessToken, Client, ClientCredentials, KoaContextWithOIDC } from 'oidc-provider';
import type { Consents, Share } from '../ports.ts';
import { openidScopes } from '../requests/resources.ts';

interface Dependencies {
  /** What userinfo calls itself in `aud`. */
  userinfoAudience: string;
  pairwiseSalt: Buffer;
  consents: Pick<Consents, 'isId'>;
}

/** What tokens say beyond oidc-provider's own claims. */
export function tokenShare({ userinfoAudience, pairwiseSalt, consents }: Dependencies): Share {
  return {
    extraTokenClaims: (ctx, token) =>
      isForCustomer(token)
        ? {
            grant_id: token.grantId,
            ...(consents.isId(token.grantId) ? { consent_id: token.grantId } : {}),
            ...authenticationClaims(ctx),
          }
        : undefined,
    formats: {
      customizers: {
        jwt(ctx, token, { payload }) {
          if (!isForCustomer(token) || !grantedOpenidScopes(ctx).includes('openid')) return;
          // The same token opens userinfo, as OpenID clients expect: it says so instead of being let in silently.
          payload['aud'] = [payload['aud'], userinfoAudience].flat();
        },
      },
    },
    subjectTypes: ['public', 'pairwise'],
    // OpenID Connect Core §8.1: not reversible, the same for all clients of one sector.
    pairwiseIdentifier: (_ctx, accountId, client) =>
      createHash('sha256')
        .update(sectorOf(client))
        .update('\0')
        .update(accountId)
        .update('\0')
        .update(pairwiseSalt)
        .digest('base64url'),
  };
}

/**
 * oidc-provider leaves the OpenID scopes out of a token for a resource server. Ours has them, as it opens userinfo too;
 * so do introspection and the token response, which must name what was granted (RFC 6749 §5.1).
 */
export function nameOpenidScopes(provider: Provider): void {
  const prototype = provider.AccessToken.prototype as {
    save: (this: AccessToken) => Promise<string>;
  };
  const { save } = prototype;
  prototype.save = function saveWithOpenidScopes(this: AccessToken) {
    const { ctx } = Provider;
    const openid = ctx === undefined ? [] : grantedOpenidScopes(ctx);
    if (this.resourceServer !== undefined && openid.includes('openid')) {
      this.scope = [...openid, this.scope].filter(Boolean).join(' ');
    }
    return save.call(this);
  };
}

function sectorOf(client: Client): string {
  return typeof client.sectorIdentifier === 'string' ? client.sectorIdentifier : client.clientId;
}

function isForCustomer(token: AccessToken | ClientCredentials): token is AccessToken {
  return token.kind === 'AccessToken';
}

/** RFC 9068 §2.2.1: when and how the customer authenticated. */
function authenticationClaims(ctx: KoaContextWithOIDC): Record<string, unknown> {
  const source = ctx.oidc.entities.AuthorizationCode ?? ctx.oidc.entities.RefreshToken;
  const claims = { acr: source?.acr, amr: source?.amr, auth_time: source?.authTime };
  return Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined));
}

function grantedOpenidScopes(ctx: KoaContextWithOIDC): string[] {
  const { entities, params } = ctx.oidc;
  const source = entities.AuthorizationCode ?? entities.RefreshToken;
  const narrowed = entities.RefreshToken === undefined ? undefined : params?.['scope'];
  const scope = typeof narrowed === 'string' ? narrowed : source?.scope;
  const requested = scope?.split(' ').filter((name) => openidScopes.includes(name)) ?? [];
  const granted = new Set(entities.Grant?.getOIDCScope().split(' '));
  return requested.filter((name) => granted.has(name) && name !== 'offline_access');
}
