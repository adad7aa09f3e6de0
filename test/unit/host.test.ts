import type { Middleware } from 'koa';
import { describe, expect, it } from 'vitest';
import { pinHost } from '../../src/http/host.ts';
import type { ListenerName } from '../../src/http/listener-name.ts';
import { Problem } from '../../src/problem.ts';
import { serveSteps, type TestServer } from '../support/http-server.ts';

const hosts = { publicHost: 'auth.bank.example:3443', mtlsHost: 'mtls.bank.example' };

const showProblems: Middleware = async (ctx, next) => {
  try {
    await next();
  } catch (error) {
    ctx.status = error instanceof Problem && error.code === 'misdirected_request' ? 421 : 400;
    ctx.body = 'refused';
  }
};
const showHost: Middleware = (ctx) => {
  ctx.body = `${ctx.host} ${ctx.req.headers.host ?? ''} ${ctx.originalUrl} ${ctx.href}`;
};

function serve(listener?: ListenerName): Promise<TestServer> {
  return serveSteps([showProblems, pinHost(hosts), showHost], listener);
}

async function statusOf(server: TestServer, target: string, lines: string[]): Promise<string> {
  const head = [`GET ${target} HTTP/1.1`, ...lines, 'Connection: close', '', ''].join('\r\n');
  return (await server.sendRaw(head)).split(' ')[1] ?? '';
}

describe('the pinned host', () => {
  it.each([
    ['public', 'auth.bank.example:3443', 200],
    ['public', 'AUTH.Bank.Example:3443', 200],
    ['public', 'auth.bank.example', 421],
    ['public', 'auth.bank.example:443', 421],
    ['public', 'mtls.bank.example', 421],
    ['public', 'evil.example', 421],
    ['public', 'evil.auth.bank.example:3443', 421],
    ['public', 'auth.bank.example:3443@evil.example', 421],
    ['public', '127.0.0.1', 421],
    ['public', '', 421],
    ['mtls', 'mtls.bank.example', 200],
    ['mtls', 'mtls.bank.example:443', 200],
    ['mtls', 'mtls.bank.example:3443', 421],
    ['mtls', 'auth.bank.example:3443', 421],
  ] as const)('at the %s listener answers "%s" with %i', async (listener, host, status) => {
    await using server = await serve(listener);
    expect((await server.send('/', { headers: { Host: host } })).status).toBe(status);
  });

  it('is the public one for everything behind, also at the listener for certificates', async () => {
    await using server = await serve('mtls');
    const { body } = await server.send('/jwks?x=y', { headers: { Host: hosts.mtlsHost } });
    expect(body).toBe(
      `${hosts.publicHost} ${hosts.publicHost} /jwks?x=y http://${hosts.publicHost}/jwks?x=y`,
    );
  });

  it('is not moved by forwarded headers', async () => {
    await using server = await serve();
    const forwarded = {
      'X-Forwarded-Host': 'evil.example',
      'X-Forwarded-Proto': 'https',
      Forwarded: 'host=evil.example',
    };
    const { body } = await server.send('/', { headers: { Host: hosts.publicHost, ...forwarded } });
    expect(body).toBe(`${hosts.publicHost} ${hosts.publicHost} / http://${hosts.publicHost}/`);
    const own = { ...forwarded, 'X-Forwarded-Host': hosts.publicHost };
    const refused = await server.send('/', { headers: { Host: 'evil.example', ...own } });
    expect(refused.status).toBe(421);
  });

  it('may occur once only', async () => {
    await using server = await serve();
    const good = `Host: ${hosts.publicHost}`;
    expect(await statusOf(server, '/', [good])).toBe('200');
    expect(await statusOf(server, '/', [good, 'Host: evil.example'])).not.toBe('200');
    expect(await statusOf(server, '/', ['Host: evil.example', good])).not.toBe('200');
    expect(await statusOf(server, '/', [good, good])).not.toBe('200');
    expect(await statusOf(server, '/', [])).not.toBe('200');
  });

  it('holds for absolute request targets, which lose their host behind', async () => {
    await using server = await serve();
    const good = [`Host: ${hosts.publicHost}`];
    expect(await statusOf(server, 'https://evil.example/', good)).toBe('421');
    expect(await statusOf(server, `https://${hosts.publicHost}/`, ['Host: evil.example'])).toBe(
      '421',
    );
    expect(await statusOf(server, `https://${hosts.publicHost}@evil.example/`, good)).toBe('421');
    expect(await statusOf(server, `ftp://${hosts.publicHost}/`, good)).toBe('400');
    expect(await statusOf(server, '*', good)).toBe('400');
    const answer = await server.sendRaw(
      `GET https://${hosts.publicHost}/jwks?a=b HTTP/1.1\r\n${good.join('')}\r\nConnection: close\r\n\r\n`,
    );
    expect(answer).toContain(` /jwks?a=b http://${hosts.publicHost}/jwks?a=b`);
  });

  it('refuses everything at a listener that nobody named', async () => {
    await using server = await serveSteps([showProblems, pinHost(hosts), showHost], 'unnamed');
    expect((await server.send('/', { headers: { Host: hosts.publicHost } })).status).toBe(421);
  });
});
