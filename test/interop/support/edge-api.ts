import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

/** What got through to the API. */
export type Passed = Pick<IncomingMessage, 'headers'> & {
  /** Method and target. */
  request: string;
  /** The names of its header lines, as often as they came. */
  names: string[];
  body: string;
  /** Fields behind the body (RFC 9110 §6.5), names and values in turn. */
  trailers: string[];
};

/** An API that remembers what it was sent. */
export interface RecordingApi {
  port: number;
  passed: Passed[];
  stop(): void;
}

/** Starts it. It would take any upgrade, as an API with websockets takes one. */
export async function startApi(): Promise<RecordingApi> {
  const passed: Passed[] = [];
  const record = ({ method = '', url = '', headers, rawHeaders }: IncomingMessage) => {
    const names = rawHeaders
      .filter((_, index) => index % 2 === 0)
      .map((name) => name.toLowerCase());
    const one: Passed = { request: `${method} ${url}`, headers, names, body: '', trailers: [] };
    passed.push(one);
    return one;
  };
  const server = createServer((request, response) => {
    const one = record(request);
    void text(request).then(
      (body) => {
        Object.assign(one, { body, trailers: request.rawTrailers });
        response.end('served');
      },
      () => response.destroy(),
    );
  });
  server.on('upgrade', (request, socket) => {
    record(request).request = `upgraded ${request.url ?? ''}`;
    socket.end(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    passed,
    stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}
