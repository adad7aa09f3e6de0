import { createHash, X509Certificate } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { IssuedCertificate } from '../../src/development/certificate-authority.ts';
import {
  clientCertificate,
  createTestCertificates,
  expiredClientCertificate,
  selfSignedClientCertificate,
  type TestCertificates,
} from '../support/certificates.ts';
import { commandLine } from '../support/command-line.ts';
import { proxyHeaders } from '../support/forwarded.ts';
import { freePort } from '../support/free-port.ts';
import { rows } from '../support/protocol.ts';
import { createFetches, startAuthorizationServer, tppSubject } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import {
  certificateProxies,
  habits,
  loopbackBehind,
  mistakes,
} from './support/certificate-proxies.ts';
import type { CertificateProxy, RunningProxy, Setting } from './support/certificate-proxies.ts';
import { chainedCertificate } from './support/chained-certificate.ts';
import { requestTokenBy, requestTokenOnce } from './support/token-request.ts';
import type { TokenAnswer, TokenRequest } from './support/token-request.ts';

const kinds = Object.keys(certificateProxies) as CertificateProxy[];

const thumbprint = ({ certificatePem }: IssuedCertificate): string =>
  createHash('sha256').update(new X509Certificate(certificatePem).raw).digest('base64url');

/** The thumbprint in the token of an answer; undefined where there is none. */
function boundTo({ body }: Pick<TokenAnswer, 'body'>): unknown {
  const token = body['access_token'];
  const { cnf } = typeof token === 'string' ? decodeJwt<{ cnf: object }>(token) : {};
  return cnf && Reflect.get(cnf, 'x5t#S256');
}

describe.each(kinds)('Behind %s as deploy/ configures it', (kind) => {
  const startProxy = certificateProxies[kind];
  let server: AuthorizationServer;
  let edge: TestCertificates;
  let proxy: IssuedCertificate;
  let ports: Setting['ports'];
  let fetches: ReturnType<typeof createFetches>;
  const peers: RunningProxy[] = [];

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

  /** On a connection of its own, at the host for certificates unless told. */
  const ask = (wanted: Partial<TokenRequest> = {}) =>
    requestTokenOnce({
      origin: server.mtlsOrigin,
      authority: edge.authority.certificatePem,
      ...wanted,
    });

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
    const claims = [...Object.entries(headers).flat(), 'X-Forwarded-For', '203.0.113.8'];
    const from = '127.0.0.5';
    for (const origin of [server.mtlsOrigin, server.issuer]) {
      await ask({ origin, from, headers: claims });
      // Names for the next hop alone (RFC 9110 §7.6.1): nothing may be lost on the way by it.
      const named = ['Connection', 'close, X-Forwarded-For, Forwarded', ...claims];
      await ask({ origin, from, headers: named });
    }
    await server.running.app.audit.flush();
    // One test asks the server itself, from 127.0.0.1.
    const found = await rows(
      server,
      `select distinct address from audit_events where address <> '127.0.0.1'`,
    );
    const expected = [from, loopbackBehind(kind)].filter((address) => address !== '127.0.0.1');
    expect(new Set(found.map((row) => row['address']))).toEqual(new Set(expected));
  });

  it('the certificate counts that is shown, however its header is spelled besides', async () => {
    const other = await clientCertificate(server.certificates.authority, { subject: 'CN=another' });
    const headerOf = ({ certificatePem }: IssuedCertificate) =>
      Object.entries(proxyHeaders[kind](certificatePem))[0] ?? ['', ''];
    const [name] = headerOf(other);
    const names = [name, name.toUpperCase(), name.replaceAll('-', '_'), name.replace('-', '_')];
    for (const spelled of [...names, name.toLowerCase()]) {
      const twice = (told: IssuedCertificate) => {
        const [, value] = headerOf(told);
        return [spelled, value, spelled, value];
      };
      for (const connection of ['close', `close, ${spelled}`]) {
        const headersAbout = (told: IssuedCertificate) => [
          ...['Connection', connection],
          ...twice(told),
        ];
        const forgery = { headers: headersAbout(server.tpp) };
        expect(await ask(forgery)).toMatchObject(refused);
        expect(await ask({ ...forgery, origin: server.issuer })).toMatchObject(refused);
        expect(await ask({ ...forgery, certificate: other })).toMatchObject(refused);
        const own = await ask({ headers: headersAbout(other), certificate: server.tpp });
        expect(boundTo(own)).toBe(thumbprint(server.tpp));
      }
    }
  });

  it('a certificate that will not do is refused with an OAuth error', async () => {
    const { authority } = server.certificates;
    const subject = tppSubject;
    const useless = [
      await selfSignedClientCertificate({ subject }),
      await clientCertificate(authority, { subject, extendedKeyUsage: ['1.3.6.1.5.5.7.3.1'] }),
      await expiredClientCertificate(authority, { subject }),
    ];
    for (const certificate of useless) {
      expect(await ask({ certificate })).toMatchObject(refused);
    }
  });

  it('a renewed certificate counts beside the old one, on connections that all share', async () => {
    const renewed = await clientCertificate(server.certificates.authority, { subject: tppSubject });
    const callers = [server.tpp, renewed, undefined, server.tpp, renewed, undefined];
    for (let round = 0; round < 3; round++) {
      const answers = await Promise.all(callers.map((certificate) => ask({ certificate })));
      expect(answers.map(boundTo)).toEqual(
        callers.map((certificate) => certificate && thumbprint(certificate)),
      );
    }
  });

  it.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'a client that resumes its session stays known (%s)',
    async (version) => {
      const { resumes, sendsChains } = habits[kind];
      const { authority } = server.certificates;
      const certificate = sendsChains ? await chainedCertificate(authority, 1) : server.tpp;
      const first = await ask({ certificate, version });
      const second = await ask({ certificate, version, session: first.session });
      expect([boundTo(first), boundTo(second)]).toEqual(Array(2).fill(thumbprint(certificate)));
      expect(second.isResumed).toBe(resumes);
    },
  );

  it('as many intermediates arrive as deploy/README.md says', async () => {
    const certificate = await chainedCertificate(server.certificates.authority, 3);
    const expected = habits[kind].sendsChains ? thumbprint(certificate) : undefined;
    expect(boundTo(await ask({ certificate }))).toBe(expected);
  });

  it.each(habits[kind].protocols)(
    '%s: the connection counts, no word of its caller',
    async (by) => {
      const authority = edge.authority.certificatePem;
      const [headers, host] = [forged(), new URL(server.mtlsOrigin).host];
      const atMtls = { origin: server.mtlsOrigin, authority };
      const atPublic = { origin: server.issuer, authority };
      const own = await requestTokenBy[by]({ ...atMtls, certificate: server.tpp });
      expect(boundTo(own)).toBe(thumbprint(server.tpp));
      expect(await requestTokenBy[by]({ ...atMtls, headers })).toMatchObject(refused);
      expect(await requestTokenBy[by]({ ...atPublic, headers })).toMatchObject(refused);
      const elsewhere = await requestTokenBy[by]({ ...atPublic, headers, host });
      expect([401, 404]).toContain(elsewhere.status);
    },
  );

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
    for (const change of mistakes[kind]) {
      await peers.pop()?.stop();
      peers.push(await startProxy({ server, edge, proxy, ports, change }));
      const found = await doctor();
      await peers.pop()?.stop();
      peers.push(await startProxy({ server, edge, proxy, ports }));
      expect(found.exitCode).toBe(1);
      expect(found.output).toContain('from outside is read: 200');
    }
  });
});
