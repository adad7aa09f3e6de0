import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { connect } from 'node:tls';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { clientCertificateOf } from '../../src/tls/client-certificate.ts';
import { createPublicListener, type ListenerOptions } from '../../src/tls/listeners.ts';
import {
  clientCertificate,
  createTestCertificates,
  type TestCertificates,
} from '../support/certificates.ts';
import { createTestServers, get, handshake, presenting } from '../support/tls-servers.ts';

let certificates: TestCertificates;
let failures: string[] = [];
const servers = createTestServers();

beforeAll(async () => {
  certificates = await createTestCertificates();
});

beforeEach(() => {
  failures = [];
});

afterEach(() => servers.close());

function listenerOptions(): ListenerOptions {
  const reasons = failures; // of this test, even when a connection ends after it
  return {
    certificatePem: certificates.server.certificatePem,
    privateKeyPem: certificates.server.privateKeyPem,
    logger: { debug: () => undefined },
    onHandshakeFailure: (reason) => reasons.push(reason),
  };
}

/** Sends bytes over TLS and gives all that comes back until the server closes. */
async function send(port: number, text: string): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false });
  socket.setEncoding('utf8').write(text);
  return (await socket.toArray()).join('');
}

describe('a listener', () => {
  it.each([
    ['TLS 1.3', {}, 'TLSv1.3 TLS_AES_128_GCM_SHA256'],
    ['TLS 1.2 with AEAD', { maxVersion: 'TLSv1.2' }, 'TLSv1.2 ECDHE-ECDSA-AES128-GCM-SHA256'],
  ] as const)('speaks %s', async (_name, options, agreed) => {
    const port = await servers.listen(createPublicListener(listenerOptions(), () => undefined));
    expect(await handshake(port, options)).toBe(agreed);
    expect(failures).toEqual([]);
  });

  it.each([
    [
      'TLS 1.1',
      { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' },
      'ERR_SSL_UNSUPPORTED_PROTOCOL',
    ],
    [
      'a suite without AEAD',
      { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA' },
      'ERR_SSL_NO_SHARED_CIPHER',
    ],
    [
      'ChaCha20 with TLS 1.2, which RFC 9325 does not list',
      { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-CHACHA20-POLY1305' },
      'ERR_SSL_NO_SHARED_CIPHER',
    ],
    ['HTTP/2 only', { ALPNProtocols: ['h2'] }, 'ERR_SSL_NO_APPLICATION_PROTOCOL'],
  ] as const)('refuses %s and counts it', async (_name, options, reason) => {
    const server = createPublicListener(listenerOptions(), () => undefined);
    const port = await servers.listen(server);
    const failed = once(server, 'tlsClientError');
    const settings =
      'ALPNProtocols' in options ? { ALPNProtocols: [...options.ALPNProtocols] } : options;
    expect(await handshake(port, settings)).toMatch(/^(?:ERR_SSL_|ECONNRESET)/);
    await failed;
    expect(failures).toEqual([reason]);
  });

  it('answers 400 to what is not HTTP, and closes', async () => {
    const port = await servers.listen(createPublicListener(listenerOptions(), () => undefined));
    const answer = await send(port, 'EHLO mail.example\r\n\r\n');
    expect(answer).toMatch(/^HTTP\/1\.1 400 Bad Request\r\nConnection: close\r\n/);
    expect(failures).toEqual([]);
  });

  it('refuses headers above the limit', async () => {
    const ca = certificates.authority.certificatePem;
    const options = { ...listenerOptions(), limits: { maxHeaderBytes: 2048 } };
    const port = await servers.listen(
      createPublicListener(options, (_req, res) => res.end('null')),
    );
    expect(await get(port, { ca, headers: { 'x-a': 'a'.repeat(1000) } })).toMatchObject({
      status: 200,
    });
    const answer = await send(
      port,
      `GET / HTTP/1.1\r\nHost: a\r\nX-A: ${'a'.repeat(3000)}\r\n\r\n`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
  });

  it('hands its limits to the server', () => {
    const limits = {
      headersTimeoutMs: 1001,
      requestTimeoutMs: 1002,
      keepAliveTimeoutMs: 1003,
      maxRequestsPerConnection: 4,
      maxConnections: 5,
    };
    const server = createPublicListener({ ...listenerOptions(), limits }, () => undefined);
    expect(server).toMatchObject({
      headersTimeout: 1001,
      requestTimeout: 1002,
      keepAliveTimeout: 1003,
      maxRequestsPerSocket: 4,
      maxConnections: 5,
    });
  });

  it('closes connections that speak plain HTTP, without an answer', async () => {
    const port = await servers.listen(createPublicListener(listenerOptions(), () => undefined));
    const socket = connectTcp(port, '127.0.0.1').setEncoding('latin1');
    socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
    expect((await socket.toArray()).join('')).not.toContain('HTTP/');
    expect(failures).toEqual(['ERR_SSL_HTTP_REQUEST']);
  });

  it('does not ask for certificates on the public side', async () => {
    const server = createPublicListener(listenerOptions(), (req, res) => {
      const found = clientCertificateOf(req.socket, systemClock);
      res.end(JSON.stringify(found?.thumbprint ?? null));
    });
    const client = await clientCertificate(certificates.authority);
    const ca = certificates.authority.certificatePem;
    const answer = await get(await servers.listen(server), { ca, ...presenting(client) });
    expect(answer).toMatchObject({ status: 200, body: null });
  });
});
