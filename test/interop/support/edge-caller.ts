import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import type { ClientHttp2Stream } from 'node:http2';
import { text } from 'node:stream/consumers';
import { connect } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import type { IssuedCertificate } from '../../../src/development/certificate-authority.ts';
import { gateway } from '../../support/edge.ts';

/** A request of a caller. */
export interface Asked {
  method?: string;
  target?: string;
  version?: string;
  headers?: readonly string[];
  token?: string;
  /** Shown in the handshake. */
  certificate?: IssuedCertificate | undefined;
  /** After the head, byte for byte; the header that tells its length is the caller's affair. */
  body?: string;
  /** Of this machine, where it comes from. */
  from?: string;
  /** The name asked for in the handshake, if not the gateway's. */
  servername?: string;
  /** Of an earlier connection. */
  session?: Buffer | undefined;
}

/** Where a gateway is called, and by whose word its certificate is believed. */
export interface GatewayDoor {
  port: number;
  authority: string;
}

/** What a caller gets. */
export interface GatewayAnswer {
  status: number;
  challenge: string | undefined;
  nonce: string | undefined;
  retryAfter: string | undefined;
  body: string;
  /** By which the connection can be resumed. */
  session: Buffer | undefined;
}

const { hostname } = new URL(gateway);

function connected(
  { port, authority }: GatewayDoor,
  { certificate, from, session, servername = hostname }: Asked,
  protocols: string[] = [],
): TLSSocket {
  return connect({
    ...{ host: '127.0.0.1', port, servername, ca: authority },
    ...(certificate && { cert: certificate.certificatePem, key: certificate.privateKeyPem }),
    ...(from === undefined ? {} : { localAddress: from }),
    ...(session === undefined ? {} : { session }),
    ...(protocols.length > 0 && { ALPNProtocols: protocols }),
  });
}

/** A request byte for byte over HTTP/1; resolves when the gateway has closed the connection. */
export async function askGateway(door: GatewayDoor, asked: Asked): Promise<GatewayAnswer> {
  const socket = connected(door, asked);
  let session: Buffer | undefined;
  socket.on('session', (ticket: Buffer) => (session = ticket));
  socket.write(textOf(asked), 'latin1');
  const answer = await text(socket);
  const [head = '', ...rest] = answer.split('\r\n\r\n');
  const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'im').exec(head)?.[1]?.trim();
  return {
    status: Number(head.split(' ', 2)[1] ?? 0),
    challenge: field('www-authenticate'),
    nonce: field('dpop-nonce'),
    retryAfter: field('retry-after'),
    body: rest.join('\r\n\r\n'),
    session,
  };
}

function textOf({
  method = 'GET',
  target = '/accounts',
  version = '1.1',
  ...asked
}: Asked): string {
  const lines = [
    `${method} ${target} HTTP/${version}`,
    ...(version === '1.1' ? [`Host: ${hostname}`, 'Connection: close'] : []),
    ...(method === 'POST' && asked.body === undefined ? ['Content-Length: 0'] : []),
    ...(asked.token === undefined ? [] : [`Authorization: Bearer ${asked.token}`]),
    ...(asked.headers ?? []),
  ];
  return `${lines.join('\r\n')}\r\n\r\n${asked.body ?? ''}`;
}

/** A request over HTTP/2. */
export interface AskedByHttp2 {
  /** Names and values in turn, so that a name can come twice; without pseudo-headers the usual ones. */
  headers?: readonly string[];
  certificate?: IssuedCertificate | undefined;
  body?: string;
}

/** What came of it; no status where the gateway ended the stream or does not speak HTTP/2. */
export type Http2Answer = { status: number; challenge: string | undefined } | { refused: string };

const usualHeaders = [':method', 'GET', ':scheme', 'https', ':authority', hostname];

/** A request over HTTP/2, and no other protocol. */
export async function askByHttp2(door: GatewayDoor, asked: AskedByHttp2): Promise<Http2Answer> {
  const socket = connected(door, asked, ['h2']);
  try {
    await once(socket, 'secureConnect');
  } catch (error) {
    return { refused: String(error) };
  }
  if (socket.alpnProtocol !== 'h2') {
    socket.destroy();
    return { refused: 'no HTTP/2' };
  }
  // What comes twice is for the gateway to refuse; the types of Node know this for servers only.
  const options = { createConnection: () => socket, strictSingleValueFields: false };
  const session = connectHttp2(gateway, options);
  session.on('error', () => undefined); // told by the stream as well
  try {
    return await answerTo(session.request(headersOf(asked.headers ?? [])), asked.body);
  } catch (error) {
    return { refused: String(error) };
  } finally {
    session.destroy();
  }
}

function headersOf(headers: readonly string[]): string[] {
  const missing = [...usualHeaders, ':path', '/accounts'].flatMap((name, index, all) =>
    index % 2 === 0 && !headers.includes(name) ? [name, all[index + 1] ?? ''] : [],
  );
  return [...missing, ...headers];
}

function answerTo(stream: ClientHttp2Stream, body: string | undefined): Promise<Http2Answer> {
  return new Promise((resolve) => {
    stream.on('response', ({ ':status': status, 'www-authenticate': challenge }) => {
      resolve({ status: status ?? 0, challenge });
    });
    stream.on('error', (error) => {
      resolve({ refused: String(error) });
    });
    stream.on('close', () => {
      resolve({ refused: 'the stream was closed' });
    });
    stream.resume().end(body);
  });
}
