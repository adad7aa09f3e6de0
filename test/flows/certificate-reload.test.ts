import { once } from 'node:events';
import { connect } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { X509Certificate } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { IssuedCertificate } from '../../src/development/certificate-authority.ts';
import type { CertificateTexts } from '../../src/startup/served-certificates.ts';
import {
  clientCertificate,
  createTestCertificates,
  serverCertificate,
} from '../support/certificates.ts';
import type { TestCertificates } from '../support/certificates.ts';
import { startAuthorizationServer, tppSubject } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

let now: Date;
let files: CertificateTexts | Error | undefined;
let server: AuthorizationServer;
let others: TestCertificates;

beforeEach(async () => {
  now = new Date();
  files = undefined;
  others = await createTestCertificates();
  server = await startAuthorizationServer({
    clock: { now: () => now },
    certificates: () => {
      if (files instanceof Error) throw files;
      return files ?? textsOf();
    },
  });
});

afterEach(() => server.stop());

function textsOf(own: IssuedCertificate = server.certificates.server): CertificateTexts {
  return {
    tlsCertificate: own.certificatePem,
    tlsPrivateKey: own.privateKeyPem,
    clientTruststore: server.certificates.authority.certificatePem,
  };
}

/** A connection whose handshake has ended. */
async function handshake(port: number, session?: Buffer): Promise<TLSSocket> {
  const ca = [server.certificates.authority.certificatePem];
  const socket = connect({
    ...{ host: '127.0.0.1', servername: 'localhost', port, ca },
    ...(session === undefined ? {} : { session }),
  });
  await once(socket, 'secureConnect');
  return socket;
}

async function request(socket: TLSSocket): Promise<string> {
  const { host } = new URL(server.issuer);
  socket.write(`GET /jwks HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  const [answer] = (await once(socket, 'data')) as [Buffer];
  return answer.toString().split('\r\n', 1).join();
}

const fingerprintOf = (pem: string) => new X509Certificate(pem).fingerprint256;

async function metric(name: string): Promise<string | undefined> {
  const text = await (await fetch(`${server.operationsOrigin}/metrics`)).text();
  return text.split('\n').find((line) => line.startsWith(name));
}

function machineToken(as: IssuedCertificate): Promise<Response> {
  return server.fetch(as)(`${server.mtlsOrigin}/token`, {
    method: 'POST',
    body: new URLSearchParams({ grant_type: 'client_credentials', client_id: 'tpp' }),
  });
}

describe('A new server certificate', () => {
  it('is taken on both listeners without a connection lost', async () => {
    const { public: publicPort, mtls } = server.running.ports;
    const open = await handshake(publicPort);
    expect(await request(open)).toBe('HTTP/1.1 200 OK');
    const renewed = await serverCertificate(server.certificates.authority);
    files = textsOf(renewed);
    server.running.reload();
    for (const port of [publicPort, mtls]) {
      const socket = await handshake(port);
      expect(socket.getPeerCertificate().fingerprint256).toBe(
        fingerprintOf(renewed.certificatePem),
      );
      expect(socket.getProtocol()).toBe('TLSv1.3');
      socket.destroy();
    }
    expect(await request(open)).toBe('HTTP/1.1 200 OK');
    open.destroy();
    expect(await server.log.raw()).toContain('The certificates were exchanged');
    expect((await machineToken(server.tpp)).status).toBe(200);
  });

  it('keeps old TLS versions out as the first one did', async () => {
    files = textsOf(await serverCertificate(server.certificates.authority));
    server.running.reload();
    const {
      port = server.running.ports.public,
      ca = server.certificates.authority.certificatePem,
    } = {};
    const old = connect({
      host: '127.0.0.1',
      servername: 'localhost',
      port,
      ca,
      maxVersion: 'TLSv1.1',
    });
    await expect(once(old, 'secureConnect')).rejects.toThrow();
  });
});

describe('A new truststore', () => {
  it('decides who is trusted from then on, also for clients with an old session', async () => {
    const newcomer = await clientCertificate(others.authority, { subject: tppSubject });
    expect((await machineToken(newcomer)).status).toBe(401);
    files = { ...textsOf(), clientTruststore: others.authority.certificatePem };
    server.running.reload();
    await expect.poll(async () => (await machineToken(newcomer)).status).toBe(200);
    expect((await machineToken(server.tpp)).status).toBe(401);
  });

  it('ends the sessions that began before', async () => {
    const first = await handshake(server.running.ports.mtls);
    const session = once(first, 'session');
    first.write('GET / HTTP/1.1\r\n\r\n');
    const [ticket] = (await session) as [Buffer];
    first.destroy();
    const resumed = await handshake(server.running.ports.mtls, ticket);
    expect(resumed.isSessionReused()).toBe(true);
    resumed.destroy();
    files = { ...textsOf(), clientTruststore: others.authority.certificatePem };
    server.running.reload();
    const again = await handshake(server.running.ports.mtls, ticket);
    expect(again.isSessionReused()).toBe(false);
    again.destroy();
  });
});

describe('A bad new file is refused, loudly, and the old one stays:', () => {
  it.each([
    [
      'a key of another certificate',
      () => ({ ...textsOf(), tlsPrivateKey: others.server.privateKeyPem }),
      'the private key does not belong',
    ],
    ['no certificate', () => ({ ...textsOf(), tlsCertificate: 'nonsense' }), 'PEM'],
    [
      'an empty truststore',
      () => ({ ...textsOf(), clientTruststore: '' }),
      'there is no certificate in it',
    ],
    ['a file that is gone', () => new Error('ENOENT: tls.crt'), 'ENOENT: tls.crt'],
  ])('%s', async (_name, change, reason) => {
    files = change();
    server.running.reload();
    server.running.reload(); // the same file is told once
    const log = await server.log.raw();
    expect(log.split('New certificates were refused; the old ones stay')).toHaveLength(2);
    expect(log).toContain(reason);
    expect(log).not.toContain('PRIVATE KEY');
    expect(await metric('countersign_certificate_reloads_refused_total')).toMatch(/ 1$/);
    expect((await machineToken(server.tpp)).status).toBe(200);
    files = textsOf(await serverCertificate(server.certificates.authority));
    server.running.reload();
    expect(await server.log.raw()).toContain('The certificates were exchanged');
  });

  it('a server certificate that has expired', async () => {
    const renewed = await serverCertificate(server.certificates.authority);
    now = new Date(new X509Certificate(renewed.certificatePem).validToDate.getTime() + 1000);
    files = textsOf(renewed);
    server.running.reload();
    expect(await server.log.raw()).toContain('the server certificate has expired');
  });
});

describe('The end of a certificate', () => {
  it('is a metric, of the one that is served now', async () => {
    const name = 'countersign_certificate_expiry_seconds{name="server"}';
    const before = Number((await metric(name))?.split(' ').at(-1));
    expect(before).toBeGreaterThan(3600);
    now = new Date(now.getTime() + 3_600_000);
    expect(Number((await metric(name))?.split(' ').at(-1))).toBeCloseTo(before - 3600, -1);
  });
});
