import { connect as connectTcp } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createPublicListener, defaultConnectionLimits } from '../../src/tls/listeners.ts';
import { rawForm } from '../support/attack.ts';
import { basic, post } from '../support/protocol.ts';
import { startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { silentLogger } from '../support/silent-logger.ts';
import { createTestServers } from '../support/tls-servers.ts';

let server: AuthorizationServer;
const servers = createTestServers();
const sockets: Socket[] = [];

beforeAll(async () => {
  server = await startAuthorizationServer();
});

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await servers.close();
});

afterAll(() => server.stop());

async function open(port: number, secure: boolean): Promise<Socket> {
  const target = { host: '127.0.0.1', port };
  const ca = server.certificates.authority.certificatePem;
  const socket = secure
    ? connectTls({ ...target, ca, servername: 'localhost' })
    : connectTcp(target);
  sockets.push(socket);
  socket.on('error', () => undefined).resume();
  await once(socket, secure ? 'secureConnect' : 'connect');
  return socket;
}

async function tokenStatus(): Promise<number> {
  const form = { grant_type: 'client_credentials', scope: 'accounts' };
  const headers = basic('web', server.secrets.web);
  return (await post(server.fetch(), `${server.issuer}/token`, { form, headers })).status;
}

describe('Many who hold connections', () => {
  it('before, during and after the handshake, in headers and in bodies, keep nobody out', async () => {
    const { public: port, mtls } = server.running.ports;
    const body = rawForm(server, '/token', {
      body: 'grant_',
      headers: { 'Content-Length': '500' },
    });
    const introspection = body.replace('/token', '/introspect');
    const beginnings = ['', 'GET', 'GET / HTTP/1.1\r\nHost: loc', body, introspection];
    for (let i = 0; i < 20; i += 1) {
      await open(port, false);
      (await open(port, false)).write(Buffer.from([0x16, 3, 1, 0xff]));
      const beginning = beginnings[i % beginnings.length] ?? '';
      (await open(i % 2 === 0 ? port : mtls, true)).write(beginning);
    }
    expect(await tokenStatus()).toBe(200);
    const ready = await fetch(`${server.operationsOrigin}/readyz`);
    expect(ready.status).toBe(200);
  });

  it('and leave in the middle make no error of ours', async () => {
    const { public: port } = server.running.ports;
    for (const path of ['/token', '/introspect', '/revoke', '/userinfo', '/logout/confirm']) {
      const headers = { ...basic('web', server.secrets.web), 'Content-Length': '500' };
      for (const leave of ['end', 'resetAndDestroy'] as const) {
        const socket = await open(port, true);
        socket.write(rawForm(server, path, { body: 'grant_type=client_credentials', headers }));
        expect(await tokenStatus()).toBe(200);
        const closed = once(socket, 'close');
        if (leave === 'end') socket.end();
        else socket.destroy();
        await closed;
      }
    }
    expect(await tokenStatus()).toBe(200);
    const worst = (await server.log.lines()).filter(({ level }) => level === 'error');
    expect(worst).toEqual([]);
  });
});

describe('A listener', () => {
  const limits = {
    handshakeTimeoutMs: 200,
    headersTimeoutMs: 200,
    requestTimeoutMs: 400,
    keepAliveTimeoutMs: 100,
    silenceTimeoutMs: 1500,
    maxHeaders: 10,
    maxHeaderBytes: 2000,
    maxRequestsPerConnection: 3,
    maxConnections: 5,
  };

  function listen() {
    const { certificatePem, privateKeyPem } = server.certificates.server;
    const options = { certificatePem, privateKeyPem, limits, logger: silentLogger };
    return servers.listen(
      createPublicListener(options, (request, response) => {
        const answer = () => response.end('done');
        // There is no end to wait for where there is no body.
        if (request.readableEnded) answer();
        else request.resume().on('end', answer);
      }),
    );
  }

  it.each([
    ['never begins the handshake', false, ''],
    ['never ends the handshake', false, '\x16\x03\x01\xff'],
    ['never says anything', true, ''],
    ['never ends the headers', true, 'GET / HTTP/1.1\r\nHost: x\r\n'],
    ['never ends the body', true, 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx'],
    ['never asks again', true, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'],
  ])('cuts off who %s', async (_, secure, bytes) => {
    const socket = await open(await listen(), secure);
    const closed = once(socket, 'close');
    socket.write(Buffer.from(bytes, 'latin1'));
    await closed;
    expect(socket.destroyed).toBe(true);
  });

  it('cuts off who sends one byte at a time', async () => {
    const socket = await open(await listen(), true);
    let sent = 0;
    const drip = setInterval(() => {
      socket.write('x');
      sent += 1;
    }, 20);
    socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n');
    await once(socket, 'close');
    clearInterval(drip);
    expect(sent).toBeLessThan(200);
  });

  it('cuts off a connection on which nothing moves, also one that waits for an answer', async () => {
    const { certificatePem, privateKeyPem } = server.certificates.server;
    const options = { certificatePem, privateKeyPem, limits, logger: silentLogger };
    const port = await servers.listen(createPublicListener(options, () => undefined));
    const socket = await open(port, true);
    const closed = once(socket, 'close');
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await closed;
    expect(socket.destroyed).toBe(true);
  });

  it('refuses more headers than anybody needs', async () => {
    const socket = await open(await listen(), true);
    const answered = once(socket, 'data');
    const many = Array.from({ length: 11 }, (_, i) => `X-${String(i)}: y\r\n`).join('');
    socket.write(`GET / HTTP/1.1\r\nHost: x\r\n${many}\r\n`);
    const [answer] = (await answered) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 400 /);
  });

  it('refuses longer headers, and a longer address', async () => {
    const port = await listen();
    const long = 'y'.repeat(limits.maxHeaderBytes);
    for (const head of [`GET / HTTP/1.1\r\nX: ${long}`, `GET /${long} HTTP/1.1`]) {
      const socket = await open(port, true);
      const [closed, answered] = [once(socket, 'close'), once(socket, 'data')];
      socket.write(`${head}\r\nHost: x\r\n\r\n`);
      const [answer] = (await answered) as [Buffer];
      expect(answer.toString()).toMatch(/^HTTP\/1\.1 4\d\d /);
      await closed;
    }
  });

  it('says when a connection has had its requests', async () => {
    const socket = await open(await listen(), true);
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
    const closed = once(socket, 'close');
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(limits.maxRequestsPerConnection + 2));
    await closed;
    expect(text.match(/HTTP\/1\.1 200/g)).toHaveLength(limits.maxRequestsPerConnection);
    expect(text.match(/connection: close/gi)).not.toBeNull();
  });

  it('takes no more connections than it may, and new ones when some have gone', async () => {
    const port = await listen();
    const held: Socket[] = [];
    for (let i = 0; i < limits.maxConnections; i += 1) held.push(await open(port, true));
    const one = connectTcp({ host: '127.0.0.1', port });
    sockets.push(one);
    one.on('error', () => undefined).resume();
    await once(one, 'close');
    for (const socket of held) {
      const closed = once(socket, 'close');
      socket.destroy();
      await closed;
    }
    await expect(open(port, true)).resolves.toBeDefined();
  });

  it('has limits in the product as well', () => {
    const { handshakeTimeoutMs, headersTimeoutMs, requestTimeoutMs, maxHeaderBytes } =
      defaultConnectionLimits;
    const { maxConnections, keepAliveTimeoutMs } = defaultConnectionLimits;
    expect(Math.max(handshakeTimeoutMs, headersTimeoutMs)).toBeLessThanOrEqual(10_000);
    expect(requestTimeoutMs).toBeLessThanOrEqual(30_000);
    expect(keepAliveTimeoutMs).toBeLessThanOrEqual(75_000);
    expect(maxHeaderBytes).toBeLessThanOrEqual(16_384);
    expect(defaultConnectionLimits.maxHeaders).toBeLessThanOrEqual(100);
    expect(defaultConnectionLimits.silenceTimeoutMs).toBeLessThanOrEqual(120_000);
    expect(maxConnections).toBeLessThanOrEqual(10_000);
  });
});
