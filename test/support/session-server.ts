import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

/** A message of PostgreSQL's protocol: its type, its length, its body (PostgreSQL documentation, "Message Formats"). */
function message(type: string, body: string | Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeInt32BE(Buffer.byteLength(body) + 4);
  return Buffer.concat([Buffer.from(type), length, Buffer.from(body)]);
}

const ready = message('Z', 'I');
const welcome = Buffer.concat([message('R', Buffer.alloc(4)), ready]);
const done = Buffer.concat([message('C', 'LISTEN\0'), ready]);
const goodBye = message('E', 'SFATAL\0C57P01\0Mterminating connection\0\0');

/** A server that takes sessions and every statement, and knows no more than that. */
export interface SessionServer {
  connection: { host: string; port: number; user: string; database: string };
  /** Ends every session with this many errors at once. */
  endSessions(errors: number): void;
  /** While false, new sessions are refused. */
  accept(isOpen: boolean): void;
  /** How many were begun or tried. */
  attempts(): number;
  close(): Promise<void>;
}

/** For what a real server does now and then, but not on demand. */
export async function sessionServer(): Promise<SessionServer> {
  const sockets = new Set<Socket>();
  let isOpen = true;
  let attempts = 0;
  const server = createServer((socket) => {
    attempts += 1;
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    if (!isOpen) {
      socket.destroy();
      return;
    }
    sockets.add(socket);
    socket.once('data', () => {
      socket.write(welcome);
      socket.on('data', (bytes) => {
        if (bytes.toString('latin1', 0, 1) === 'Q') socket.write(done);
      });
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    connection: { host: '127.0.0.1', port, user: 'nobody', database: 'none' },
    endSessions(errors) {
      for (const socket of sockets) {
        socket.end(Buffer.concat(Array.from({ length: errors }, () => goodBye)));
      }
    },
    accept(nowOpen) {
      isOpen = nowOpen;
    },
    attempts: () => attempts,
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
