import Provider from 'oidc-provider';
import type { AuthorizationCode, Client } from 'oidc-provider';
import { openidScopes } from '../requests/resources.ts';
import { namesIn } from './grant-description.ts';
import type { EngineGrant } from './managed-id.ts';
import { wishOf } from './wish-checks.ts';

/**
 * A merge is answered with everything that its part of the grant gives: who asks for more gets by with one refresh token and
 * one access token for each resource server (Grant Management draft 03, "Update the details of a grant").
 */
export function widenMergedCodes(provider: Provider): void {
  const prototype = provider.AuthorizationCode.prototype as {
    save: (this: AuthorizationCode) => Promise<string>;
  };
  const { save } = prototype;
  prototype.save = function saveForWholeGrant(this: AuthorizationCode) {
    const oidc = Provider.ctx?.oidc;
    const { Client: client, Grant: grant } = oidc?.entities ?? {};
    if (oidc !== undefined && client !== undefined && grant !== undefined) {
      if (wishOf(oidc)?.action === 'merge') widen(this, grant, client);
    }
    return save.call(this);
  };
}

function widen(code: AuthorizationCode, grant: EngineGrant, client: Client): void {
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
