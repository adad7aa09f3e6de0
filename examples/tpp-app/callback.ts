import { once } from 'node:events';
import { createServer } from 'node:https';
import type { TlsFiles } from './mutual-tls.ts';

/** Our own website, as far as it takes customers back. */
export interface Website {
  /** The address with which the first customer comes back. */
  callback: Promise<URL>;
  close(): void;
}

function page(isRefusal: boolean): string {
  const heading = isRefusal ? 'You have not allowed it' : 'Welcome back';
  return `<!doctype html><html lang="en"><title>Sample TPP</title><h1>${heading}</h1>`;
}

/** Listens at the redirect URI. */
export async function openWebsite(redirectUri: string, tls: TlsFiles): Promise<Website> {
  const { pathname, port } = new URL(redirectUri);
  const { promise: callback, resolve } = Promise.withResolvers<URL>();
  const server = createServer(tls, (asked, response) => {
    const url = new URL(asked.url ?? '/', redirectUri);
    const isCallback = asked.method === 'GET' && url.pathname === pathname;
    // The address in the bar holds the code: nobody else may learn it as the page before.
    response.writeHead(isCallback ? 200 : 404, {
      'content-type': 'text/html; charset=utf-8',
      'referrer-policy': 'no-referrer',
    });
    response.end(isCallback ? page(url.searchParams.has('error')) : '');
    if (isCallback) resolve(url);
  });
  server.listen(Number(port), '127.0.0.1');
  await once(server, 'listening');
  return {
    callback,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
