import { claimsByScope } from '../pages/accounts.ts';
import type { ResourceServers } from '../ports.ts';

/** What a client may do, as the customer reads it. */
export interface Access {
  openidScopes: string[];
  resources: {
    name: string;
    scopes: { name: string; sentences: Readonly<Record<string, string>> }[];
  }[];
}

/** The same as the engine has it. */
export interface BareAccess {
  openidScopes: readonly string[];
  /** Claims by their names (OpenID Connect Core §5.5). */
  claims: readonly string[];
  /** Resource server identifier → scopes. */
  resources: Readonly<Record<string, readonly string[]>>;
}

/** Claims that are asked for one by one are shown as the scope that opens them; resource servers with their sentences. */
export async function describeAccess(
  { openidScopes, claims, resources }: BareAccess,
  resourceServers: Pick<ResourceServers, 'find'>,
): Promise<Access> {
  const opening = Object.entries(claimsByScope)
    .filter(([, opened]) => opened.some((claim) => claims.includes(claim)))
    .map(([scope]) => scope);
  const described = Object.entries(resources).map(async ([identifier, names]) => {
    const audience = await resourceServers.find(identifier);
    const scopes = names.map((name) => ({ name, sentences: audience?.scopes[name] ?? {} }));
    return { name: audience?.name ?? identifier, scopes };
  });
  return {
    openidScopes: [...new Set([...openidScopes, ...opening])],
    resources: await Promise.all(described),
  };
}
