import { text } from 'node:stream/consumers';
import { connect } from 'node:tls';
import type { IssuedCertificate } from '../../../src/development/certificate-authority.ts';
import type { AuthorizationServer } from '../../support/server.ts';
import { startNginx } from './nginx.ts';
import type { Nginx } from './nginx.ts';
import { adapted, shippedFile } from './shipped.ts';

interface Gateway {
  listening: number;
  /** What it proves itself with. */
  proxy: IssuedCertificate;
  /** The port of the API behind it. */
  api: number;
  /** The port at which it looks for the server, if not there. */
  behind?: number | undefined;
}

/** The configuration that we ship, with the addresses and files of a test. */
export async function startGateway(
  { certificates, running }: AuthorizationServer,
  { listening, proxy, api, behind = running.ports.mtls }: Gateway,
): Promise<Nginx> {
  const shipped = await shippedFile('deploy/nginx/forward-auth.conf');
  return startNginx({
    ports: [listening],
    http: (at) =>
      adapted(shipped, [
        ['server countersign.internal:3444', `server 127.0.0.1:${String(behind)}`],
        ['proxy_ssl_name countersign.internal', 'proxy_ssl_name localhost'],
        ['listen 443', `listen 127.0.0.1:${String(listening)}`],
        ['127.0.0.1:8080', `127.0.0.1:${String(api)}`],
        ['/etc/nginx/countersign/', `${at}/`],
      ]),
    files: {
      'gateway.crt': certificates.server.certificatePem,
      'gateway.key': certificates.server.privateKeyPem,
      'proxy.crt': proxy.certificatePem,
      'proxy.key': proxy.privateKeyPem,
      'countersign-ca.crt': certificates.authority.certificatePem,
    },
  });
}

/** A request of a caller. */
export interface Asked {
  method?: string;
  target?: string;
  version?: string;
  headers?: readonly string[];
  token?: string;
  certificate?: IssuedCertificate | undefined;
}

/** A request byte for byte at a gateway on `port`. */
export async function askGateway(server: AuthorizationServer, port: number, asked: Asked) {
  const { certificate } = asked;
  const socket = connect({
    ...{ host: '127.0.0.1', port, servername: 'localhost' },
    ca: server.certificates.authority.certificatePem,
    ...(certificate && { cert: certificate.certificatePem, key: certificate.privateKeyPem }),
  });
  socket.write(textOf(asked));
  const answer = await text(socket);
  const [head = ''] = answer.split('\r\n\r\n', 1);
  const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'im').exec(head)?.[1]?.trim();
  return {
    status: Number(head.split(' ', 2)[1] ?? 0),
    challenge: field('www-authenticate'),
    nonce: field('dpop-nonce'),
    retryAfter: field('retry-after'),
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
    ...(version === '1.1' ? ['Host: api.gateway.example', 'Connection: close'] : []),
    ...(method === 'POST' ? ['Content-Length: 0'] : []),
    ...(asked.token === undefined ? [] : [`Authorization: Bearer ${asked.token}`]),
    ...(asked.headers ?? []),
  ];
  return `${lines.join('\r\n')}\r\n\r\n`;
}
