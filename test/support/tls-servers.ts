import { once } from 'node:events';
import { request, type RequestOptions, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { connect, TLSSocket, type ConnectionOptions } from 'node:tls';
import type { IssuedCertificate } from '../../src/development/certificate-authority.ts';

/** HTTPS servers that live as long as one test. */
export interface TestServers {
  /** Listens on a free port of 127.0.0.1 and gives the port. */
  listen(server: Server): Promise<number>;
  /** Closes all of them with their connections. */
  close(): Promise<void>;
}

/** An empty set of servers. */
export function createTestServers(): TestServers {
  const servers: Server[] = [];
  return {
    async listen(server) {
      servers.push(server);
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      return (server.address() as AddressInfo).port;
    },
    async close() {
      for (const server of servers.splice(0)) {
        server.closeAllConnections();
        server.close();
        await once(server, 'close');
      }
    },
  };
}

/** What a request got: the body is JSON. */
export interface TestAnswer {
  readonly status: number;
  readonly body: unknown;
  /** Whether the TLS session was taken up again. */
  readonly resumed: boolean;
}

/** One GET to 127.0.0.1, with a connection of its own unless an agent is given. */
export function get(port: number, options: RequestOptions = {}): Promise<TestAnswer> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: '127.0.0.1', port, agent: false, ...options }, (response) => {
      const { socket } = response;
      const resumed = socket instanceof TLSSocket && socket.isSessionReused();
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('error', reject).on('end', () => {
        resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) as unknown, resumed });
      });
    });
    outgoing.on('error', reject).end();
  });
}

/** The connection options that present a certificate. */
export function presenting(client: IssuedCertificate): ConnectionOptions {
  return { cert: client.certificatePem, key: client.privateKeyPem };
}

/** Connects only: gives the protocol and the suite that were agreed, or the code of the error. */
export async function handshake(port: number, options: ConnectionOptions): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options });
  try {
    await once(socket, 'secureConnect');
    const agreed = `${socket.getProtocol() ?? ''} ${socket.getCipher().name}`;
    socket.end().resume(); // closing with unread session tickets would reset the connection
    await once(socket, 'close');
    return agreed;
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code);
  } finally {
    socket.destroy();
  }
}
