import { createHash, X509Certificate } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { IssuedCertificate } from '../../src/development/certificate-authority.ts';
import {
  clientCertificate,
  createTestCertificates,
  type TestCertificates,
} from '../support/certificates.ts';
import { commandLine } from '../support/command-line.ts';
import { proxyHeaders } from '../support/forwarded.ts';
import { freePort } from '../support/free-port.ts';
import { rows } from '../support/protocol.ts';
import { createFetches, startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { startHaproxy } from './support/haproxy.ts';
import { startNginx } from './support/nginx.ts';
import { adapted, shippedFile } from './support/shipped.ts';

interface Ports {
  public: number;
  mtls: number;
}

/** What each proxy is started with: our shipped configuration with this test's addresses and files. */
interface Setting {
  server: AuthorizationServer;
  /** Certificates of the far side of the proxy. */
  edge: TestCertificates;
  proxy: IssuedCertificate;
  ports: Ports;
  /** Changes the shipped configuration. */
  change?: (shipped: string) => string;
}

interface Peer {
  stop(): Promise<void>;
}

const both = ({ certificatePem, privateKeyPem }: IssuedCertificate) =>
  certificatePem + privateKeyPem;

async function nginx({
  server,
  edge,
  proxy,
  ports,
  change = (text) => text,
}: Setting): Promise<Peer> {
  const shipped = change(await shippedFile('deploy/nginx/client-certificates.conf'));
  return startNginx({
    ports: [ports.public, ports.mtls],
    http: (folder) =>
      adapted(shipped, [
        ['Host auth.bank.example:8443', `Host localhost:${String(ports.mtls)}`],
        ['Host auth.bank.example', `Host localhost:${String(ports.public)}`],
        [
          'server countersign.internal:3444',
          `server 127.0.0.1:${String(server.running.ports.mtls)}`,
        ],
        ['proxy_ssl_name countersign.internal', 'proxy_ssl_name localhost'],
        ['server_name auth.bank.example', 'server_name localhost'],
        ['listen 443', `listen 127.0.0.1:${String(ports.public)}`],
        ['listen 8443', `listen 127.0.0.1:${String(ports.mtls)}`],
        ['/etc/nginx/countersign/', `${folder}/`],
      ]),
    files: {
      'server.crt': edge.server.certificatePem,
      'server.key': edge.server.privateKeyPem,
      'proxy.crt': proxy.certificatePem,
      'proxy.key': proxy.privateKeyPem,
      'countersign-ca.crt': server.certificates.authority.certificatePem,
    },
  });
}

async function haproxy({
  server,
  edge,
  proxy,
  ports,
  change = (text) => text,
}: Setting): Promise<Peer> {
  const shipped = change(await shippedFile('deploy/haproxy/client-certificates.cfg'));
  return startHaproxy({
    ports: [ports.public, ports.mtls],
    configuration: (folder) =>
      adapted(shipped, [
        ['Host auth.bank.example:8443', `Host localhost:${String(ports.mtls)}`],
        ['Host auth.bank.example', `Host localhost:${String(ports.public)}`],
        ['countersign.internal:3444', `127.0.0.1:${String(server.running.ports.mtls)}`],
        ['verifyhost countersign.internal', 'verifyhost localhost'],
        ['bind :443', `bind 127.0.0.1:${String(ports.public)}`],
        ['bind :8443', `bind 127.0.0.1:${String(ports.mtls)}`],
        ['/etc/haproxy/countersign/', `${folder}/`],
      ]),
    files: {
      'server.pem': both(edge.server),
      'proxy.pem': both(proxy),
      'client-authorities.pem': server.certificates.authority.certificatePem,
      'countersign-ca.crt': server.certificates.authority.certificatePem,
    },
  });
}

/** Lines of the shipped configuration, without which a caller's header is handed on. */
const protection = {
  nginx: /^ *proxy_set_header ssl-client-cert .*$/gm,
  haproxy:
    /^ *http-request (?:del|set)-header X-SSL-Client-Cert .*$|^ *http-request del-header X-SSL-Client-Cert$/gm,
};

describe.each([
  ['nginx', nginx],
  ['haproxy', haproxy],
] as const)('Behind %s as deploy/ configures it', (kind, startProxy) => {
  let server: AuthorizationServer;
  let edge: TestCertificates;
  let proxy: IssuedCertificate;
  let ports: Ports;
  let fetches: ReturnType<typeof createFetches>;
  const peers: Peer[] = [];

  beforeAll(async () => {
    edge = await createTestCertificates();
    const { authority } = await createTestCertificates();
    proxy = await clientCertificate(authority, { sanDns: ['proxy.bank.internal'] });
    ports = { public: await freePort(), mtls: await freePort() };
    server = await startAuthorizationServer({
      environment: {
        COUNTERSIGN_ISSUER: `https://localhost:${String(ports.public)}`,
        COUNTERSIGN_MTLS_ORIGIN: `https://localhost:${String(ports.mtls)}`,
        COUNTERSIGN_PROXY_CERTIFICATE_HEADER: kind,
        COUNTERSIGN_PROXY_TRUSTSTORE: authority.certificatePem,
        COUNTERSIGN_PROXY_NAMES: 'dns:proxy.bank.internal',
      },
    });
    peers.push(await startProxy({ server, edge, proxy, ports }));
    fetches = createFetches(server, edge, { ports: { ...ports, operations: 0 } });
  });

  afterAll(async () => {
    await fetches.close();
    await Promise.all(peers.map((peer) => peer.stop()));
    await server.stop();
  });

  async function requestToken(
    origin: string,
    certificate?: IssuedCertificate,
    headers: Record<string, string> = {},
  ) {
    const response = await fetches.fetch(certificate)(`${origin}/token`, {
      method: 'POST',
      headers,
      body: new URLSearchParams({ grant_type: 'client_credentials', client_id: 'tpp' }),
    });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  }

  const forged = () => ({
    ...proxyHeaders[kind](server.tpp.certificatePem),
    ...proxyHeaders.rfc9440(server.tpp.certificatePem),
    ...proxyHeaders.envoy(server.tpp.certificatePem),
  });
  const refused = { status: 401, body: { error: 'invalid_client' } };

  it('a client gets a token that is bound to its certificate, every time', async () => {
    const { raw } = new X509Certificate(server.tpp.certificatePem);
    for (let count = 0; count < 3; count++) {
      const { status, body } = await requestToken(server.mtlsOrigin, server.tpp);
      expect([status, body['error']]).toEqual([200, undefined]);
      expect(decodeJwt(String(body['access_token']))).toMatchObject({
        cnf: { 'x5t#S256': createHash('sha256').update(raw).digest('base64url') },
      });
    }
  });

  it('a forged header counts for nothing, at either host', async () => {
    expect(await requestToken(server.mtlsOrigin, undefined, forged())).toMatchObject(refused);
    expect(await requestToken(server.issuer, undefined, forged())).toMatchObject(refused);
    const { authority } = server.certificates;
    const other = await clientCertificate(authority, { subject: 'CN=another' });
    expect(await requestToken(server.mtlsOrigin, other, forged())).toMatchObject(refused);
  });

  it('a forged header counts for nothing at the server itself', async () => {
    for (const origin of [server.issuer, server.mtlsOrigin]) {
      const response = await server.fetch()(`${origin}/token`, {
        method: 'POST',
        headers: forged(),
        body: new URLSearchParams({ grant_type: 'client_credentials', client_id: 'tpp' }),
      });
      expect(response.status).toBe(401);
    }
  });

  it('a foreign certificate is refused with an OAuth error', async () => {
    const foreign = await clientCertificate(edge.foreignAuthority);
    expect(await requestToken(server.mtlsOrigin, foreign)).toMatchObject(refused);
  });

  it('a caller can not choose its address', async () => {
    const headers = { 'X-Forwarded-For': '203.0.113.9', Forwarded: 'for=203.0.113.9' };
    await requestToken(server.mtlsOrigin, undefined, headers);
    await server.running.app.audit.flush();
    const found = await rows(
      server,
      'select distinct address from audit_events where address is not null',
    );
    expect(found).toEqual([{ address: '127.0.0.1' }]);
  });

  it('pages are at the public host only', async () => {
    const page = (origin: string) => fetches.fetch()(`${origin}/authorize?client_id=tpp`);
    expect((await page(server.issuer)).status).toBe(400);
    expect((await page(server.mtlsOrigin)).status).toBe(404);
  });

  async function doctor(): Promise<{ exitCode: number | null; output: string }> {
    const cli = await commandLine({
      COUNTERSIGN_ISSUER: server.issuer,
      COUNTERSIGN_MTLS_ORIGIN: server.mtlsOrigin,
    });
    const file = (name: string) => path.join(cli.environment['HOME'] ?? '', name);
    await writeFile(file('ca.pem'), edge.authority.certificatePem);
    await writeFile(file('tpp.pem'), server.tpp.certificatePem);
    const client = ['--client', 'tpp', '--certificate', file('tpp.pem')];
    const result = await cli.run(['doctor', '--authority', file('ca.pem'), ...client]);
    await cli.remove();
    return result;
  }

  it('countersign doctor finds nothing, and finds a proxy that hands on what callers send', async () => {
    expect(await doctor()).toMatchObject({ exitCode: 0 });
    await peers.pop()?.stop();
    const change = (text: string) => text.replaceAll(protection[kind], '');
    peers.push(await startProxy({ server, edge, proxy, ports, change }));
    const found = await doctor();
    await peers.pop()?.stop();
    peers.push(await startProxy({ server, edge, proxy, ports }));
    expect(found.exitCode).toBe(1);
    expect(found.output).toContain('from outside is read: 200');
  });
});
