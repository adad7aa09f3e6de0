import Provider from 'oidc-provider';
import type { AuthorizationCode, Client, KoaContextWithOIDC } from 'oidc-provider';
import { openidScopes } from '../requests/resources.ts';
import type { Presented } from '../requests/resources.ts';
import { namesIn } from './grant-description.ts';
import type { EngineGrant } from './managed-id.ts';
import { wishOf } from './wish-checks.ts';

type Code = Pick<AuthorizationCode, 'scope' | 'resource'> & Presented;

/**
 * A merge is answered with everything that its part of the grant gives: who asks for more gets by with one refresh token and
 * one access token for each resource server (Grant Management draft 03, "Update the details of a grant"). What the merge was
 * about stands on its code and on the refresh tokens that come of it; on the grant, a merge at the same time would change it.
 */
export function widenMergedCodes(provider: Provider): void {
  const { AuthorizationCode, RefreshToken } = provider;
  for (const model of [AuthorizationCode, RefreshToken]) keepWithPayload(model);
  beforeSaving(AuthorizationCode, (code, { oidc }) => {
    const { Client: client, Grant: grant } = oidc.entities;
    if (client === undefined || grant === undefined) return;
    if (wishOf(oidc)?.action === 'merge') widen(code, grant, client);
  });
  beforeSaving(RefreshToken, (token, { oidc }) => {
    const entities = oidc.entities as Record<string, Presented | undefined>;
    const from = entities['RotatedRefreshToken'] ?? entities['AuthorizationCode'];
    token.mergedResource ??= from?.mergedResource;
  });
}

function keepWithPayload(model: object): void {
  const { IN_PAYLOAD: kept } = model as { IN_PAYLOAD: readonly string[] };
  Object.defineProperty(model, 'IN_PAYLOAD', { value: [...kept, 'mergedResource'] });
}

function beforeSaving(
  { prototype }: { prototype: object },
  prepare: (token: Presented, ctx: KoaContextWithOIDC) => void,
): void {
  const saved = prototype as { save: (this: Presented) => Promise<string> };
  const { save } = saved;
  saved.save = function savePrepared(this: Presented) {
    const { ctx } = Provider;
    if (ctx !== undefined) prepare(this, ctx);
    return save.call(this);
  };
}

function widen(code: Code, grant: EngineGrant, client: Client): void {
  code.mergedResource = typeof code.resource === 'string' ? code.resource : undefined;
  const { openid, resources = {} } = grant;
  const own = namesIn(openid?.scope).filter((scope) => mayHave(client, scope));
  const scopes = [...namesIn(code.scope), ...own, ...Object.values(resources).flatMap(namesIn)];
  code.scope = [...new Set(scopes)].join(' ');
  const all = [...new Set([code.resource ?? [], Object.keys(resources)].flat())];
  if (all.length > 0) code.resource = all.length === 1 ? all[0] : all;
}

/** What an operator took from the client since it was allowed. */
function mayHave({ scope: limit }: Client, scope: string): boolean {
  return limit === undefined || !openidScopes.includes(scope) || namesIn(limit).includes(scope);
}
