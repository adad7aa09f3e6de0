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

/** So long is the address good that the bank gave us (RFC 9126 §2.2). */
const reminderMs = 60_000;

/** What `waiting` comes to; `remind` is called once when that takes longer than a minute. */
export async function remindOnce<T>(waiting: Promise<T>, remind: () => void): Promise<T> {
  const timer = setTimeout(remind, reminderMs);
  try {
    return await waiting;
  } finally {
    clearTimeout(timer);
  }
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
