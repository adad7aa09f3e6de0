import type { Assessment } from '../clients/assessment.ts';
import type { Client } from '../clients/client.ts';
import { fields, printable, table } from './output.ts';
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

/** How far clients are from what they could be held to, a paragraph each. */
export function clientAssessments(assessments: readonly Assessment[]): Answer {
  const text = assessments.map(assessmentText).join('\n\n');
  return { json: { assessments }, text: text === '' ? 'There are none.' : text };
}

function assessmentText({ id, profile, ...distances }: Assessment): string {
  const { fapi2, messageSigning, rfc9700 } = distances;
  return [
    `${printable(id)} (${profile})`,
    ...paragraph('FAPI 2.0 Security Profile', fapi2),
    ...paragraph('FAPI 2.0 Message Signing besides', messageSigning),
    ...paragraph('RFC 9700', rfc9700),
  ].join('\n');
}

function paragraph(name: string, missing: readonly string[]): string[] {
  if (missing.length === 0) return [`  ${name}: nothing is missing`];
  return [`  ${name}:`, ...missing.map((sentence) => `    - ${printable(sentence)}`)];
}

function asJson({ id, name, status, source, metadata, permissions, hasSecret }: Client) {
  return { id, name, status, source, metadata, permissions, hasSecret };
}
