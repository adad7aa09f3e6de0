import { once } from 'node:events';
import { createServer as createPlainServer } from 'node:http';
import type { RequestListener } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Problem } from '../../src/problem.ts';
import { createOutboundFetch } from '../../src/security/outbound-fetch.ts';
import type { OutboundLimits } from '../../src/security/outbound-fetch.ts';
import { createTestCertificates } from '../support/certificates.ts';
import type { TestCertificates } from '../support/certificates.ts';
import { createTestServers } from '../support/tls-servers.ts';

let certificates: TestCertificates;
const servers = createTestServers();

beforeAll(async () => {
  certificates = await createTestCertificates();
});

afterEach(() => servers.close());

/** A server of somebody else, and the requests that reached it. */
async function elsewhere(listener: RequestListener, certificate = certificates.server) {
  const reached: string[] = [];
  const server = createServer(
    { cert: certificate.certificatePem, key: certificate.privateKeyPem },
    (request, response) => {
      reached.push(`${request.method ?? ''} ${request.url ?? ''}`);
      listener(request, response);
    },
  );
  const port = await servers.listen(server);
  return { port, host: `localhost:${String(port)}`, reached };
}

/** The same without TLS. */
async function plainServer(listener: RequestListener) {
  const reached: string[] = [];
  const server = createPlainServer((request, response) => {
    reached.push(request.url ?? '');
    listener(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    host: `127.0.0.1:${String(port)}`,
    reached,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function fetchWith(limits: Partial<OutboundLimits>) {
  return createOutboundFetch({
    allowedHosts: [],
    truststorePem: certificates.authority.certificatePem,
    timeoutMs: 5000,
    maxBodyBytes: 1000,
    ...limits,
  });
}

async function refusal(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof Problem && error.code === 'outbound_refused') return error.detail ?? '';
  throw new Error('it was not refused', { cause: error });
}

describe('A request to a listed host', () => {
  it('arrives with its method, headers and form, and the answer comes back', async () => {
    let form = '';
    const there = await elsewhere((request, response) => {
      request.setEncoding('utf8').on('data', (chunk: string) => (form += chunk));
      request.on('end', () => {
        response.writeHead(201, {
          'cache-control': 'max-age=5',
          'x-type': request.headers['content-type'],
        });
        response.end('{"ok":true}');
      });
    });
    const response = await fetchWith({ allowedHosts: [there.host] })(
      `https://${there.host}/a?b=c`,
      {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams({ token: 'a b' }),
      },
    );
    expect(there.reached).toEqual(['POST /a?b=c']);
    expect(form).toBe('token=a+b');
    expect(response.status).toBe(201);
    expect(response.headers.get('cache-control')).toBe('max-age=5');
    expect(response.headers.get('x-type')).toBe('application/x-www-form-urlencoded');
    expect(await response.json()).toEqual({ ok: true });
  });

  it('may be answered without a body', async () => {
    const there = await elsewhere((_, response) => response.writeHead(204).end());
    const response = await fetchWith({ allowedHosts: [there.host] })(`https://${there.host}/`);
    expect([response.status, await response.text()]).toEqual([204, '']);
  });

  it('does not follow a redirect', async () => {
    const there = await elsewhere((_, response) =>
      response.writeHead(302, { location: '/elsewhere' }).end(),
    );
    const response = await fetchWith({ allowedHosts: [there.host] })(`https://${there.host}/`);
    expect(response.status).toBe(302);
    expect(there.reached).toEqual(['GET /']);
  });

  it.each([
    ['with a length', { 'content-length': '1001' }],
    ['without one', {}],
  ])('is cut off when the answer is too long %s', async (_, headers) => {
    const there = await elsewhere((_request, response) => {
      response.writeHead(200, headers).end('x'.repeat(1001));
    });
    const fetched = fetchWith({ allowedHosts: [there.host] })(`https://${there.host}/`);
    expect(await refusal(fetched)).toContain('longer than 1000 bytes');
  });

  it.each([
    ['the headers', (): void => undefined],
    [
      'the body',
      (response: { write(text: string): void }): void => {
        response.write('x');
      },
    ],
  ])("is given up when %s don't come in time", async (_, begin) => {
    const there = await elsewhere((_request, response) => {
      begin(response);
    });
    const fetched = fetchWith({ allowedHosts: [there.host], timeoutMs: 100 })(
      `https://${there.host}/`,
    );
    expect(await refusal(fetched)).toContain(there.host);
  });

  it('is given up when the caller does', async () => {
    const there = await elsewhere(() => undefined);
    const signal = AbortSignal.abort();
    const fetched = fetchWith({ allowedHosts: [there.host] })(`https://${there.host}/`, { signal });
    expect(await refusal(fetched)).toContain('abort');
  });

  it('is refused to a server whose certificate nobody trusts', async () => {
    const there = await elsewhere((_, response) => response.end('secret'));
    const fetch = fetchWith({ allowedHosts: [there.host], truststorePem: undefined });
    expect(await refusal(fetch(`https://${there.host}/`))).toMatch(/certificate/);
    expect(there.reached).toEqual([]);
  });

  it('is refused to a server with another name in its certificate', async () => {
    const there = await elsewhere((_, response) => response.end());
    const host = `127.0.0.2:${String(there.port)}`;
    expect(await refusal(fetchWith({ allowedHosts: [host] })(`https://${host}/`))).toContain(host);
    expect(there.reached).toEqual([]);
  });
});

describe('Plain http', () => {
  it('is let through where it was asked for, with a body of bytes', async () => {
    await using there = await plainServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => response.end(Buffer.concat(chunks).toString('hex')));
    });
    const fetch = fetchWith({ allowedHosts: [there.host], plainHttp: true });
    const options = { method: 'POST', body: new Uint8Array([0, 255, 128]) };
    const response = await fetch(`http://${there.host}/`, options);
    expect([response.status, await response.text()]).toEqual([200, '00ff80']);
  });

  it('has every other limit', async () => {
    await using there = await plainServer((request, response) => {
      if (request.url === '/redirect') response.writeHead(302, { location: '/long' }).end();
      else if (request.url === '/long') response.end('x'.repeat(1001));
    });
    const at = (path: string) => `http://${there.host}${path}`;
    const fetch = fetchWith({ allowedHosts: [there.host], plainHttp: true, timeoutMs: 200 });
    expect((await fetch(at('/redirect'))).status).toBe(302);
    expect(await refusal(fetch(at('/long')))).toContain('longer than 1000 bytes');
    expect(await refusal(fetch(at('/silent')))).toContain(there.host);
    expect(there.reached).toEqual(['/redirect', '/long', '/silent']);
    const unlisted = fetchWith({ plainHttp: true });
    expect(await refusal(unlisted(at('/')))).toMatch(/not a public address/);
    expect(await refusal(unlisted(at('/').replace('127.0.0.1', 'localhost')))).toMatch(/public/);
    expect(await refusal(unlisted('ftp://example.com/'))).toMatch(/not https/);
    expect(there.reached).toHaveLength(3);
  });
});

describe('A request to a host that is not listed', () => {
  it.each([
    'localhost',
    'LOCALHOST',
    '127.0.0.1',
    '127.1',
    '2130706433',
    '0x7f.1',
    '0',
    '[::1]',
    '[::ffff:127.0.0.1]',
    '169.254.169.254',
  ])('does not reach %s', async (host) => {
    const there = await elsewhere((_, response) => response.end('secret'));
    const fetch = fetchWith({ allowedHosts: ['localhost:1', 'example.com'] });
    const detail = await refusal(fetch(`https://${host}:${String(there.port)}/`));
    expect(detail).toMatch(/public/);
    expect(there.reached).toEqual([]);
  });

  it('is not let in by another port or a longer name', async () => {
    const there = await elsewhere((_, response) => response.end('secret'));
    const fetch = fetchWith({ allowedHosts: ['localhost', `ocalhost:${String(there.port)}`] });
    expect(await refusal(fetch(`https://${there.host}/`))).toMatch(/not public/);
    expect(there.reached).toEqual([]);
  });

  it.each([
    'http://example.com/',
    'http://user:password@example.com/',
    'file:///etc/passwd',
    'data:,x',
    'https://user:password@example.com/',
  ])('is refused for %s', async (url) => {
    const detail = await refusal(fetchWith({ allowedHosts: ['example.com'] })(url));
    expect(detail).not.toContain('password@');
    expect(detail).toMatch(/not https|user information/);
  });
});
