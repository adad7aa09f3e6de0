import type { ResourceServer } from '../resource-servers/resource-server.ts';
import { fields, table } from './output.ts';
import type { Answer } from './output.ts';

/** All resource servers, a line each. */
export function resourceServerList(all: readonly ResourceServer[]): Answer {
  const rows = all.map(({ identifier, name, accessTokenFormat, scopes, source }) => [
    identifier,
    name,
    accessTokenFormat,
    Object.keys(scopes).join(' '),
    source,
  ]);
  const text = table(['IDENTIFIER', 'NAME', 'TOKENS', 'SCOPES', 'SOURCE'], rows);
  return { json: { resourceServers: all.map(asJson) }, text };
}

/** One resource server with the sentences of its scopes. */
export function resourceServerDetails(resourceServer: ResourceServer): Answer {
  const { scopes, ...rest } = resourceServer;
  const sentences = Object.entries(scopes).map(
    ([scope, text]) => [`scope ${scope}`, text] as const,
  );
  const text = fields({ ...rest, ...Object.fromEntries(sentences) });
  return { json: { resourceServer: asJson(resourceServer) }, text };
}

/** `undefined` members are left out of JSON; a stable shape says null. */
function asJson(resourceServer: ResourceServer) {
  return {
    ...resourceServer,
    introspectionClientId: resourceServer.introspectionClientId ?? null,
  };
}
