import { createServer } from 'node:https';
import type { ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import type { ClientCertificate } from '../resource-server/trusting-fetch.ts';

/** The TPP's own website, as far as the story needs it. */
export interface CallbackListener {
  port: number;
  /** The next redirect back from the authorization server. Asked for before the browser is sent away. */
  next(): Promise<URL>;
  stop(): Promise<void>;
}

/** Waits at the TPP's redirect URI, on a free port: the browser is told where to find it. */
export async function listenForCallback(
  redirectUri: string,
  tls: ClientCertificate,
): Promise<CallbackListener> {
  const { pathname } = new URL(redirectUri);
  let arrived: ((url: URL) => void) | undefined;
  const server = createServer(tls, (request, response) => {
    const url = new URL(request.url ?? '/', redirectUri);
    if (url.pathname === pathname) {
      answer(response, 200, '<h1>Welcome back</h1><p>The TPP goes on from here.</p>');
      arrived?.(url);
    } else {
      answer(response, 404, '<h1>Not found</h1>');
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    next: () =>
      new Promise((resolve) => {
        arrived = resolve;
      }),
    async stop() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

function answer(response: ServerResponse, status: number, body: string): void {
  const page = `<!doctype html><html lang="en"><title>Sample TPP</title>${body}</html>`;
  response.writeHead(status, { 'content-type': 'text/html; charset=utf-8' }).end(page);
}
