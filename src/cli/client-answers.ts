import type { Client } from '../clients/client.ts';
import { fields, table } from './output.ts';
import type { Answer } from './output.ts';

/** All clients, a line each. */
export function clientList(clients: readonly Client[]): Answer {
  const rows = clients.map(({ id, name, status, source, metadata }) => [
    id,
    name,
    status,
    metadata.token_endpoint_auth_method,
    source,
  ]);
  const text = table(['ID', 'NAME', 'STATUS', 'AUTHENTICATION', 'SOURCE'], rows);
  return { json: { clients: clients.map(asJson) }, text };
}

/** One client with all that is known of it. */
export function clientDetails(client: Client): Answer {
  const { client_id: _id, client_name: _name, ...metadata } = client.metadata;
  const { id, name, status, source } = client;
  const permissions = Object.entries(client.permissions).map(
    ([resource, scopes]) => [`may use ${resource}`, scopes.join(' ')] as const,
  );
  const text = fields({
    id,
    name,
    status,
    source,
    ...metadata,
    ...Object.fromEntries(permissions),
  });
  return { json: { client: asJson(client) }, text };
}

/** A client was registered: what it still lacks is said before its secret. */
export function clientRegistered(client: Client, secret?: string): Answer {
  const { json, text } = clientDone('registered', client, secret);
  if (client.metadata.grant_types.length === 0) return { json, text };
  const [first = '', ...rest] = text.split('\n');
  const hint = `It may request nothing yet: clients allow ${client.id} --resource <uri> --scope <scope...>`;
  return { json, text: [first, hint, ...rest].join('\n') };
}

/** What was done to a client; a fresh secret is shown here and never again. */
export function clientDone(done: string, client: Client, secret?: string): Answer {
  const { json } = clientDetails(client);
  const text = `The client ${client.id} is ${done}.`;
  if (secret === undefined) return { json, text };
  return {
    json: { ...json, clientSecret: secret },
    text: `${text}\nIts secret is shown this once; only a digest is kept:\n${secret}`,
  };
}

function asJson({ id, name, status, source, metadata, permissions, hasSecret }: Client) {
  return { id, name, status, source, metadata, permissions, hasSecret };
}
