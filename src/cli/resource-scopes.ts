import { Problem } from '../problem.ts';
import type { StoresContext } from './context.ts';

/** Problem('resource_server_not_found'), or Problem('client_invalid') for scopes that it does not have. */
export async function rejectUnknownScopes(
  { resourceServers }: Pick<StoresContext, 'resourceServers'>,
  resource: string,
  scopes: readonly string[],
): Promise<void> {
  const found = await resourceServers.find(resource);
  if (found === undefined) throw new Problem('resource_server_not_found', { detail: resource });
  const unknown = scopes.filter((scope) => !Object.hasOwn(found.scopes, scope));
  if (unknown.length === 0) return;
  const detail = `${resource} has no scope ${unknown.join(', ')}, only ${Object.keys(found.scopes).join(', ')}`;
  throw new Problem('client_invalid', { detail });
}
