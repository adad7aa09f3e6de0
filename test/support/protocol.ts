import { randomUUID } from 'node:crypto';
import { request } from 'node:https';
import { SignJWT } from 'jose';
import type { CryptoKey } from 'jose';
import pg from 'pg';
import { epochSeconds, systemClock } from '../../src/clock.ts';
import type { IssuedCertificate } from '../../src/development/certificate-authority.ts';
import type { AuthorizationServer } from './server.ts';

/** What a protocol endpoint answered. */
export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  /** The body's members; none when it is not a JSON object. */
  body: Record<string, unknown>;
}

/** Parameters of a form; pairs where one is sent twice. */
export type Form = Record<string, string> | [string, string][];

/** Sends any request and reads the answer. */
export async function send(
  fetcher: typeof fetch,
  url: string,
  init: RequestInit = {},
): Promise<Answer> {
  const response = await fetcher(url, init);
  const text = await response.text();
  const { status, headers } = response;
  return { status, headers, text, body: membersOf(text) };
}

function membersOf(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}

/** A GET with exactly these headers: `fetch` sets Host and cache headers by itself. */
export function getWith(
  server: AuthorizationServer,
  url: string,
  headers: Record<string, string | string[]>,
): Promise<Answer> {
  const { host, hostname, port, pathname } = new URL(url);
  const ca = server.certificates.authority.certificatePem;
  return new Promise((resolve, reject) => {
    const target = { host: '127.0.0.1', servername: hostname, port, path: pathname, ca };
    const options = { ...target, headers: { host, ...headers }, agent: false };
    const outgoing = request(options, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('error', reject).on('end', () => {
        const answered = new Headers(Object.entries(response.headers) as [string, string][]);
        const status = response.statusCode ?? 0;
        resolve({ status, headers: answered, text, body: membersOf(text) });
      });
    });
    outgoing.on('error', reject).end();
  });
}

/** The status of a GET with several Authorization lines, which `fetch` would join. */
export function statusWithAuthorizations(
  url: string,
  lines: string[],
  { authority, certificate }: { authority: IssuedCertificate; certificate: IssuedCertificate },
): Promise<number> {
  const tls = {
    ca: authority.certificatePem,
    cert: certificate.certificatePem,
    key: certificate.privateKeyPem,
  };
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { ...tls, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    outgoing.setHeader('authorization', lines);
    outgoing.on('error', reject).end();
  });
}

/** Posts a form as an OAuth client does. */
export function post(
  fetcher: typeof fetch,
  url: string,
  { form, headers = {} }: { form: Form; headers?: Record<string, string> },
): Promise<Answer> {
  return send(fetcher, url, { method: 'POST', body: new URLSearchParams(form), headers });
}

/** The Authorization header of `client_secret_basic` (RFC 6749 §2.3.1). */
export function basic(id: string, secret: string): { authorization: string } {
  const pair = `${encodeURIComponent(id)}:${encodeURIComponent(secret)}`;
  return { authorization: `Basic ${Buffer.from(pair).toString('base64')}` };
}

/** What a client assertion says, when it is not the usual. */
export interface AssertionOptions {
  clientId: string;
  key: CryptoKey;
  alg: string;
  kid?: string;
  audience: string | string[];
  /** Replaces members of the usual payload; undefined leaves one out. */
  claims?: Record<string, unknown>;
}

/** A `private_key_jwt` assertion (RFC 7523) that lives a minute. */
export function clientAssertion(options: AssertionOptions): Promise<string> {
  const { clientId, key, alg, kid, audience, claims } = options;
  const now = epochSeconds(systemClock);
  const usual = { iss: clientId, sub: clientId, aud: audience, jti: randomUUID() };
  return new SignJWT({ ...usual, iat: now, exp: now + 60, ...claims })
    .setProtectedHeader({ alg, ...(kid === undefined ? {} : { kid }) })
    .sign(key);
}

/** The form parameters that carry an assertion. */
export function asserted(assertion: string): Record<string, string> {
  return {
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: assertion,
  };
}

/** Rows of any table of the server's database. */
export async function rows(
  server: Pick<AuthorizationServer, 'database'>,
  statement: string,
  values: unknown[] = [],
): Promise<Record<string, unknown>[]> {
  const client = new pg.Client(server.database.connection);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(statement, values)).rows;
  } finally {
    await client.end();
  }
}

/** Everything that the database holds, as one text: for what must not be in it. */
export async function databaseText(server: AuthorizationServer): Promise<string> {
  const tables = await rows(server, `SELECT tablename FROM pg_tables WHERE schemaname = 'public'`);
  const contents = await Promise.all(
    tables.map(({ tablename }) => rows(server, `SELECT t::text FROM "${String(tablename)}" t`)),
  );
  return JSON.stringify(contents);
}

/** An audit event of one request. */
export interface Audited {
  type: string;
  outcome: string;
  client_id: string | null;
  detail: Record<string, unknown>;
}

/** The audit events of the request that got this answer, from the database. */
export async function auditOf(
  server: AuthorizationServer,
  answer: Pick<Answer, 'headers'>,
): Promise<Audited[]> {
  await server.running.app.audit.flush();
  const found = await rows(server, 'SELECT * FROM audit_events WHERE request_id = $1 ORDER BY id', [
    answer.headers.get('x-request-id'),
  ]);
  return found as unknown as Audited[];
}
