import { connect } from 'node:tls';
import { stored } from './stored.ts';
import type { AuthorizationServer } from './server.ts';

/** One answer of a raw exchange. */
export interface RawAnswer {
  status: number;
  /** Names in lower case; lines of one name joined by a comma and a space. */
  headers: Record<string, string>;
  body: string;
}

/** What came back for some bytes. */
export interface RawExchange {
  /** Everything, byte for byte as latin1. */
  text: string;
  /** The answers in it, as far as they can be told apart by their Content-Length. */
  answers: RawAnswer[];
  /** Whether the server ended the connection before the time was up. */
  closed: boolean;
}

export interface RawOptions {
  listener?: 'public' | 'mtls';
  /** What else the TLS connection is made with: a certificate, for instance. */
  tls?: { cert: string; key: string };
  /** Milliseconds after which reading ends even if the server does not close. */
  patienceMs?: number;
}

/** Writes bytes over TLS and reads until the server closes the connection. */
export function sendRaw(
  server: AuthorizationServer,
  bytes: string | Buffer,
  { listener = 'public', tls, patienceMs = 3000 }: RawOptions = {},
): Promise<RawExchange> {
  return new Promise((resolve, reject) => {
    let text = '';
    const ca = server.certificates.authority.certificatePem;
    const port = server.running.ports[listener];
    const socket = connect({ host: '127.0.0.1', servername: 'localhost', port, ca, ...tls });
    const finish = (closed: boolean) => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ text, answers: answersIn(text), closed });
    };
    const timer = setTimeout(() => {
      finish(false);
    }, patienceMs);
    socket.setEncoding('latin1').on('data', (chunk: string) => (text += chunk));
    socket.on('secureConnect', () => {
      socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      // A server that hangs up on what we are still sending has answered, too.
      if (error.code === 'ECONNRESET' || error.code === 'EPIPE') finish(true);
      else reject(error);
    });
    socket.on('close', () => {
      finish(true);
    });
  });
}

function answersIn(text: string): RawAnswer[] {
  const answers: RawAnswer[] = [];
  let rest = text;
  for (;;) {
    const end = rest.indexOf('\r\n\r\n');
    const status = /^HTTP\/1\.1 (\d{3})/.exec(rest)?.[1];
    if (end < 0 || status === undefined) return answers;
    const headers = headersIn(rest.slice(0, end));
    const length = headers['content-length'];
    const bodyEnd = length === undefined ? undefined : end + 4 + Number(length);
    answers.push({ status: Number(status), headers, body: rest.slice(end + 4, bodyEnd) });
    rest = bodyEnd === undefined ? '' : rest.slice(bodyEnd);
  }
}

function headersIn(head: string): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const line of head.split('\r\n').slice(1)) {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    headers[name] = name in headers ? `${headers[name] ?? ''}, ${value}` : value;
  }
  return headers;
}

/** A request as it goes over the wire; the connection ends with it unless the headers say otherwise. */
export function rawRequest(
  server: AuthorizationServer,
  line: string,
  { headers = {}, body = '' }: { headers?: Record<string, string>; body?: string } = {},
): string {
  const own = { Host: new URL(server.issuer).host, Connection: 'close', ...headers };
  const lines = Object.entries(own).map(([name, value]) => `${name}: ${value}`);
  return [`${line} HTTP/1.1`, ...lines, '', body].join('\r\n');
}

/** A form as raw bytes, with an honest length. */
export function rawForm(
  server: AuthorizationServer,
  path: string,
  { body, headers = {} }: { body: string; headers?: Record<string, string> },
): string {
  const own = {
    'Content-Type': 'application/x-www-form-urlencoded',
    'Content-Length': String(Buffer.byteLength(body, 'latin1')),
    ...headers,
  };
  return rawRequest(server, `POST ${path}`, { headers: own, body });
}

/**
 * How many codes, tokens, grants and logins `attack` brought about: rows in the database, and what the audit trail says
 * was issued, because JWT access tokens are not stored.
 */
export async function issuedBy(
  server: AuthorizationServer,
  attack: () => Promise<unknown>,
): Promise<number> {
  const before = await issued(server);
  await attack();
  return (await issued(server)) - before;
}

async function issued(server: AuthorizationServer): Promise<number> {
  await server.running.app.audit.flush();
  const [row] = await stored<{ n: number }>(
    server,
    `SELECT ((SELECT count(*) FROM artifacts WHERE kind NOT IN ('Session', 'Interaction')) +
       (SELECT count(*) FROM audit_events WHERE type IN ('token.issued', 'token.refreshed',
         'authorization.granted', 'authentication.succeeded', 'consent.given')))::int AS n`,
  );
  if (row === undefined) throw new Error('no count');
  return row.n;
}

/** Whether an answer is one of our own errors: JSON or a page, with a code, and without any inner word. */
export function isCleanRefusal({ status, body }: { status: number; body: string }): boolean {
  const leaks = /at \w+ \(|node_modules|prisma|postgres|SELECT |\/src\/|Error:/i;
  return status >= 400 && status < 500 && !leaks.test(body);
}
