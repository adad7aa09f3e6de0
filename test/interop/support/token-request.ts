import { once } from 'node:events';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { connect } from 'node:http2';
import { request } from 'node:https';
import { text } from 'node:stream/consumers';
import { TLSSocket } from 'node:tls';
import type { SecureVersion } from 'node:tls';
import type { IssuedCertificate } from '../../../src/development/certificate-authority.ts';

/** A token request of the client "tpp" on a connection of its own. */
export interface TokenRequest {
  origin: string;
  /** Whom the proxy's certificate is from, PEM. */
  authority: string;
  certificate?: IssuedCertificate | undefined;
  /** Another host than the origin's, to be named in the request. */
  host?: string;
  /** Name, value, name, value: sent as they are. */
  headers?: readonly string[];
  /** To be resumed. */
  session?: Buffer | undefined;
  version?: SecureVersion;
  /** The caller's address. */
  from?: string;
}

/** What came back. */
export interface TokenAnswer {
  status: number;
  body: Record<string, unknown>;
  /** What the next connection may resume. */
  session: Buffer | undefined;
  isResumed: boolean;
}

const form = 'grant_type=client_credentials&client_id=tpp';
const formHeaders = ['Content-Type', 'application/x-www-form-urlencoded'];

/** By HTTP/1.1. */
export async function requestTokenOnce(wanted: TokenRequest): Promise<TokenAnswer> {
  const { host = new URL(wanted.origin).host } = wanted;
  const asked = request(`${wanted.origin}/token`, {
    ...connection(wanted),
    ...(wanted.session === undefined ? {} : { session: wanted.session }),
    ...{ method: 'POST', agent: false },
    headers: [
      ...['Host', host, ...formHeaders, 'Content-Length', String(form.length)],
      ...(wanted.headers ?? []),
    ],
  });
  const latest = sessionOf(asked);
  asked.end(form);
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  const { socket } = answer;
  if (!(socket instanceof TLSSocket)) throw new TypeError('no TLS');
  const isResumed = socket.isSessionReused();
  const status = answer.statusCode ?? 0;
  const body = parsed(await text(answer));
  socket.destroy();
  return { status, body, session: latest(), isResumed };
}

/** A token request without a name that is there twice. */
type PlainTokenRequest = Omit<TokenRequest, 'headers'> & { headers?: Record<string, string> };

/** The same by the protocol; rejects where the server does not offer it. */
export const requestTokenBy = {
  'HTTP/1.1': ({ headers = {}, ...wanted }: PlainTokenRequest) =>
    requestTokenOnce({ ...wanted, headers: Object.entries(headers).flat() }),
  'HTTP/2': requestTokenByHttp2,
} as const;

async function requestTokenByHttp2({
  headers,
  host,
  ...wanted
}: PlainTokenRequest): Promise<Pick<TokenAnswer, 'status' | 'body'>> {
  const session = connect(wanted.origin, connection(wanted));
  try {
    await once(session, 'connect');
    const stream = session.request({
      ...{ ':method': 'POST', ':path': '/token', 'content-type': formHeaders[1] },
      ...(host === undefined ? {} : { ':authority': host }),
      ...headers,
    });
    stream.end(form);
    const [answer] = (await once(stream, 'response')) as [{ ':status'?: number }];
    return { status: answer[':status'] ?? 0, body: parsed(await text(stream)) };
  } finally {
    session.destroy();
  }
}

function connection({
  authority,
  certificate,
  from,
  version,
}: Pick<TokenRequest, 'authority' | 'certificate' | 'from' | 'version'>) {
  return {
    ...{ ca: authority, family: 4 as const, localAddress: from ?? '127.0.0.1' },
    ...(certificate === undefined
      ? {}
      : { cert: certificate.certificatePem, key: certificate.privateKeyPem }),
    ...(version === undefined ? {} : { minVersion: version, maxVersion: version }),
  };
}

/** TLS 1.3 gives sessions after the handshake: the last one counts. */
function sessionOf(asked: ClientRequest): () => Buffer | undefined {
  let session: Buffer | undefined;
  asked.on('socket', (socket) => {
    socket.on('session', (given: Buffer) => (session = given));
  });
  return () => session;
}

function parsed(body: string): Record<string, unknown> {
  try {
    return JSON.parse(body) as Record<string, unknown>;
  } catch {
    return { body };
  }
}
