import pg from 'pg';
import type { AuthorizationServer } from './server.ts';

/** Every secret value that went over the wire, with where it was seen. */
export type SecretsSeen = Map<string, string>;

const secretFields = new Set([
  'access_token',
  'client_assertion',
  'client_secret',
  'code',
  'code_verifier',
  'csrf',
  'id_token',
  'id_token_hint',
  'password',
  'refresh_token',
  'token',
  'xsrf',
]);

/** Shorter values would be found by chance, and none of ours is. */
const minLength = 12;

/** The server with a `fetch` that notes the secrets in what it sends and gets. */
export function watchSecrets(server: AuthorizationServer): {
  server: AuthorizationServer;
  seen: SecretsSeen;
} {
  const seen: SecretsSeen = new Map();
  const note = (where: string, value: string) => {
    if (value.length >= minLength) seen.set(value, where);
  };
  const watched: AuthorizationServer = {
    ...server,
    fetch(certificate) {
      const send = server.fetch(certificate);
      return (async (url: string, init: RequestInit = {}) => {
        noteRequest(url, init, note);
        const response = await send(url, init);
        const text = await response.clone().text();
        noteResponse(response, text, note);
        return response;
      }) as typeof fetch;
    },
  };
  return { server: watched, seen };
}

type Note = (where: string, value: string) => void;

function noteFields(where: string, fields: Iterable<[string, string]>, note: Note): void {
  for (const [name, value] of fields) if (secretFields.has(name)) note(`${where} ${name}`, value);
}

function noteRequest(url: string, { body, headers }: RequestInit, note: Note): void {
  noteFields('query', new URL(url).searchParams, note);
  if (typeof body === 'string') noteFields('form', new URLSearchParams(body), note);
  if (body instanceof URLSearchParams) noteFields('form', body, note);
  const authorization = new Headers(headers).get('authorization');
  const [scheme = '', credentials = ''] = authorization?.split(' ') ?? [];
  if (credentials === '') return;
  note(`Authorization ${scheme}`, credentials);
  if (scheme !== 'Basic') return;
  const [, secret = ''] = Buffer.from(credentials, 'base64').toString().split(':');
  note('Basic secret', decodeURIComponent(secret));
}

function noteResponse(response: Response, text: string, note: Note): void {
  for (const cookie of response.headers.getSetCookie()) {
    const pair = cookie.slice(0, cookie.indexOf(';'));
    note(`cookie ${pair.slice(0, pair.indexOf('='))}`, pair.slice(pair.indexOf('=') + 1));
  }
  const location = response.headers.get('location');
  if (location !== null) noteFields('redirect', new URL(location, response.url).searchParams, note);
  if (response.headers.get('content-type')?.includes('json') === true) noteAnswer(text, note);
  for (const [, name = '', value = ''] of text.matchAll(/name="(\w+)" value="([^"]+)"/g)) {
    noteFields('page', [[name, value]], note);
  }
}

function noteAnswer(text: string, note: Note): void {
  const members = Object.entries(JSON.parse(text) as Record<string, unknown>);
  noteFields(
    'answer',
    members.map(([name, value]) => [name, String(value)]),
    note,
  );
}

/** All tables of the server's database, each as one text: bytes also as hex, base64 and the letters that they may be. */
export async function everyTable(server: AuthorizationServer): Promise<Map<string, string>> {
  const client = new pg.Client(server.database.connection);
  await client.connect();
  try {
    const names = await client.query<{ tablename: string }>(
      `SELECT tablename FROM pg_tables WHERE schemaname = 'public'`,
    );
    const texts = new Map<string, string>();
    for (const { tablename } of names.rows) {
      const { rows } = await client.query<Record<string, unknown>>(`SELECT * FROM "${tablename}"`);
      texts.set(tablename, rows.flatMap((row) => Object.values(row).map(readings)).join('\n'));
    }
    return texts;
  } finally {
    await client.end();
  }
}

function readings(value: unknown): string {
  if (!Buffer.isBuffer(value)) return typeof value === 'string' ? value : JSON.stringify(value);
  const codings = ['latin1', 'hex', 'base64', 'base64url'] as const;
  return codings.map((coding) => value.toString(coding)).join('\n');
}

/** The forms in which a secret may stand somewhere. */
export function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret);
  const decoded = Buffer.from(secret, 'base64url');
  const inner =
    decoded.length >= minLength ? [decoded.toString('latin1'), decoded.toString('hex')] : [];
  const parts = secret.split('.').filter((part) => part.length >= 40);
  return [
    secret,
    encodeURIComponent(secret),
    bytes.toString('hex'),
    // Without its last letters, which depend on what follows.
    bytes.toString('base64').replace(/=+$/, '').slice(0, -2),
    ...inner,
    ...(parts.length > 1 ? parts.slice(1) : []),
  ];
}
