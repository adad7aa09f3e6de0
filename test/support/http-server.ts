import { createServer, request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import Koa, { type Middleware } from 'koa';
import { nameListener, type ListenerName } from '../../src/http/listener-name.ts';

/** A response with its whole body. */
export interface PlainResponse {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

/** A Koa application on a free loopback port. */
export interface TestServer {
  port: number;
  host: string;
  /** Sends a request; the body, if any, as it is. */
  send(
    path: string,
    options?: {
      method?: string;
      headers?: Record<string, string | string[]>;
      body?: string | Buffer;
    },
  ): Promise<PlainResponse>;
  /** Writes bytes to a connection and gives back all that comes until the server closes it. */
  sendRaw(bytes: string): Promise<string>;
  [Symbol.asyncDispose](): Promise<void>;
}

function send(
  port: number,
  ...[path, { method = 'GET', headers = {}, body } = {}]: Parameters<TestServer['send']>
): Promise<PlainResponse> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ port, host: '127.0.0.1', path, method, headers, agent: false });
    request.on('error', reject);
    request.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text });
      });
    });
    request.end(body);
  });
}

function sendRaw(port: number, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    socket.setEncoding('latin1');
    socket.on('data', (chunk: string) => (answer += chunk));
    socket.on('error', reject);
    socket.on('close', () => {
      resolve(answer);
    });
  });
}

/** Serves the steps in their order; "unnamed" leaves the listener without a name. */
export async function serveSteps(
  steps: readonly Middleware[],
  listener: ListenerName | 'unnamed' = 'public',
): Promise<TestServer> {
  const app = new Koa();
  app.silent = true;
  for (const step of steps) app.use(step);
  const handle = app.callback();
  const server = createServer((request, response) => void handle(request, response));
  if (listener !== 'unnamed') nameListener(server, listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    host: `127.0.0.1:${String(port)}`,
    send: (...request) => send(port, ...request),
    sendRaw: (bytes) => sendRaw(port, bytes),
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}
