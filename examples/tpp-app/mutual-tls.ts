import { request } from 'node:https';
import type { IncomingMessage } from 'node:http';
import { buffer } from 'node:stream/consumers';

/** A certificate and its private key, and the authorities that are trusted; PEM. */
export interface TlsFiles {
  cert: string;
  key: string;
  ca: string;
}

const timeoutMs = 10_000;

/** `fetch` over mutual TLS with nothing but Node: the global one can't present a certificate. Redirects are not followed. */
export function fetchOverTls(tls: TlsFiles): typeof fetch {
  return async (input, init) => {
    const asked = new Request(input, init);
    const body = Buffer.from(await asked.arrayBuffer());
    const answer = await send(asked, body, tls);
    const content = await buffer(answer);
    const status = answer.statusCode ?? 0;
    return new Response(status === 204 ? null : new Uint8Array(content), {
      status,
      headers: headersOf(answer),
    });
  };
}

function send(asked: Request, body: Buffer, tls: TlsFiles): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const headers = {
      ...Object.fromEntries(asked.headers),
      ...(body.length === 0 ? {} : { 'content-length': String(body.length) }),
    };
    const signal = AbortSignal.timeout(timeoutMs);
    const options = { ...tls, method: asked.method, headers, signal };
    request(asked.url, options, resolve).once('error', reject).end(body);
  });
}

function headersOf({ rawHeaders }: IncomingMessage): Headers {
  const headers = new Headers();
  rawHeaders.forEach((name, index) => {
    if (index % 2 === 0) headers.append(name, rawHeaders[index + 1] ?? '');
  });
  return headers;
}
