import { createHash } from 'node:crypto';
import type { AccessToken, Client, ClientCredentials, KoaContextWithOIDC } from 'oidc-provider';
import type { Share } from './ports.ts';
import { openidScopes } from './resources.ts';

interface Dependencies {
  /** What userinfo calls itself in `aud`. */
  userinfoAudience: string;
  pairwiseSalt: Buffer;
}

/** What tokens say beyond oidc-provider's own claims. */
export function tokenShare({ userinfoAudience, pairwiseSalt }: Dependencies): Share {
  return {
    extraTokenClaims: (ctx, token) =>
      isForCustomer(token) ? authenticationClaims(ctx) : undefined,
    formats: {
      customizers: {
        jwt(ctx, token, { payload }) {
          if (!isForCustomer(token)) return;
          payload['grant_id'] = token.grantId;
          const openid = grantedOpenidScopes(ctx);
          if (!openid.includes('openid')) return;
          // The same token opens userinfo, as OpenID clients expect: it says so instead of being let in silently.
          payload['aud'] = [payload['aud'], userinfoAudience].flat();
          payload['scope'] = [...openid, payload['scope']].filter(Boolean).join(' ');
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
