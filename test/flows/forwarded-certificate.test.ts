import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { IssuedCertificate } from '../../src/development/certificate-authority.ts';
import { sendRaw } from '../support/attack.ts';
import {
  clientCertificate,
  createTestCertificates,
  selfSignedClientCertificate,
} from '../support/certificates.ts';
import { proxyHeaders } from '../support/forwarded.ts';
import { rows } from '../support/protocol.ts';
import { startAuthorizationServer, tppSubject } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

const secret = 'YzQ3ZjA5ODEyYjM0NTY3ODlhYmNkZWYwMTIzNDU2';

let server: AuthorizationServer;
let proxy: IssuedCertificate;

beforeAll(async () => {
  const { authority } = await createTestCertificates();
  proxy = await clientCertificate(authority, { sanDns: ['proxy.bank.internal'] });
  server = await startAuthorizationServer({
    environment: {
      COUNTERSIGN_PROXY_CERTIFICATE_HEADER: 'rfc9440',
      COUNTERSIGN_PROXY_TRUSTSTORE: authority.certificatePem,
      COUNTERSIGN_PROXY_NAMES: 'dns:other.bank.internal; dns:proxy.bank.internal',
      COUNTERSIGN_PROXY_NETWORKS: '127.0.0.1/32',
      COUNTERSIGN_PROXY_SECRETS: secret,
      COUNTERSIGN_REVOCATION: 'off',
    },
  });
});

afterAll(() => server.stop());

interface Request {
  headers?: Record<string, string>;
  /** What the peer itself presents. */
  peer?: IssuedCertificate | undefined;
  /** The host that the request is for. */
  host?: 'public' | 'mtls';
  /** The listener that it comes through. */
  listener?: 'public' | 'mtls';
}

/** A client credentials request, written byte for byte. */
async function requestToken({ headers = {}, peer = proxy, host, listener }: Request) {
  const origin = host === 'public' ? server.issuer : server.mtlsOrigin;
  const body = 'grant_type=client_credentials&client_id=tpp&scope=accounts';
  const lines = [
    'POST /token HTTP/1.1',
    `Host: ${new URL(origin).host}`,
    'Content-Type: application/x-www-form-urlencoded',
    `Content-Length: ${String(body.length)}`,
    'Connection: close',
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ];
  const { answers } = await sendRaw(server, `${lines.join('\r\n')}\r\n\r\n${body}`, {
    listener: listener ?? 'mtls',
    ...(peer.certificatePem !== '' && {
      tls: { cert: peer.certificatePem, key: peer.privateKeyPem },
    }),
  });
  const [answer] = answers;
  return {
    status: answer?.status,
    body: JSON.parse(answer?.body ?? '{}') as Record<string, unknown>,
  };
}

const nobody: IssuedCertificate = { certificatePem: '', privateKeyPem: '' };
const forwarded = (certificate = server.tpp) => proxyHeaders.rfc9440(certificate.certificatePem);
const withSecret = { 'Countersign-Proxy-Secret': secret };

function claimsOf(token: unknown): { cnf?: Record<string, string> } {
  const [, payload = ''] = String(token).split('.');
  return JSON.parse(Buffer.from(payload, 'base64url').toString()) as {
    cnf?: Record<string, string>;
  };
}

async function lastRefusal(): Promise<{ detail?: { reason?: string }; address?: string }> {
  await server.running.app.audit.flush();
  const [last] = await rows(
    server,
    `select detail, address from audit_events where type = 'client.authentication_failed' order by id desc limit 1`,
  );
  return last ?? {};
}

describe('Through a proxy that is known', () => {
  it.each([
    ['by its certificate', () => ({ peer: proxy, headers: forwarded() })],
    [
      'by its network and secret',
      () => ({ peer: nobody, headers: { ...forwarded(), ...withSecret } }),
    ],
    [
      'by its network and secret at the public listener',
      () => ({
        peer: nobody,
        headers: { ...forwarded(), ...withSecret },
        listener: 'public' as const,
      }),
    ],
  ])('%s, a client gets a token that is bound to its certificate', async (_how, request) => {
    const direct = await requestToken({ peer: server.tpp });
    const { status, body } = await requestToken(request());
    expect(status).toBe(200);
    const thumbprint = claimsOf(body['access_token']).cnf?.['x5t#S256'];
    expect(thumbprint).toMatch(/^[\w-]{43}$/);
    expect(thumbprint).toBe(claimsOf(direct.body['access_token']).cnf?.['x5t#S256']);
  });

  it('a client without a certificate gets none', async () => {
    expect(await requestToken({})).toMatchObject({
      status: 401,
      body: { error: 'invalid_client' },
    });
    expect((await lastRefusal()).detail?.reason).toContain('client certificate was not provided');
  });

  it('a certificate that we do not trust does not do', async () => {
    for (const certificate of [
      await clientCertificate(server.certificates.foreignAuthority, { subject: tppSubject }),
      await selfSignedClientCertificate({ subject: tppSubject }),
    ]) {
      const headers = { ...forwarded(certificate), 'X-Forwarded-For': '203.0.113.7' };
      const answer = await requestToken({ headers });
      expect(answer).toMatchObject({ status: 401, body: { error: 'invalid_client' } });
      expect(await lastRefusal()).toMatchObject({
        detail: { reason: expect.stringContaining('the chain is not trusted') as string },
        address: '203.0.113.7',
      });
    }
  });

  it('a certificate that can not be read is told to nobody but the log', async () => {
    const answer = await requestToken({ headers: { 'Client-Cert': ':AAAA:' } });
    expect(answer).toMatchObject({ status: 400, body: { error: 'invalid_request' } });
    expect(JSON.stringify(answer.body)).not.toContain('certificate');
    const lines = (await server.log.lines()).filter(({ message }) => message === 'Request refused');
    expect(lines.at(-1)?.['reason']).toContain('the forwarded certificate: no X.509 certificate');
  });

  it('a certificate at the public host counts for nothing', async () => {
    const answer = await requestToken({ headers: forwarded(), host: 'public' });
    expect(answer).toMatchObject({ status: 401, body: { error: 'invalid_client' } });
  });

  it('pages are at the public host only, whichever listener it connects to', async () => {
    const page = async (origin: string, listener: 'public' | 'mtls') => {
      const lines = [
        'GET /assets/nothing HTTP/1.1',
        `Host: ${new URL(origin).host}`,
        'Connection: close',
        `Countersign-Proxy-Secret: ${secret}`,
      ];
      await sendRaw(server, `${lines.join('\r\n')}\r\n\r\n`, { listener });
      const refused = (await server.log.lines()).filter(
        ({ message }) => message === 'Request refused',
      );
      return String(refused.at(-1)?.['reason']).includes('not offered over mTLS');
    };
    for (const listener of ['public', 'mtls'] as const) {
      expect(await page(server.issuer, listener)).toBe(false);
      expect(await page(server.mtlsOrigin, listener)).toBe(true);
    }
  });

  it('another host is refused', async () => {
    const bytes = `GET /jwks HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\nCountersign-Proxy-Secret: ${secret}\r\n\r\n`;
    const { answers } = await sendRaw(server, bytes, { listener: 'mtls' });
    expect(answers[0]?.status).toBe(421);
  });
});

describe('From anybody else', () => {
  it.each(['public', 'mtls'] as const)('the same headers count for nothing at %s', async (door) => {
    for (const secretOf of [undefined, '', 'wrong', secret.slice(1), `${secret}a`]) {
      const headers = {
        ...forwarded(),
        ...(secretOf === undefined ? {} : { 'Countersign-Proxy-Secret': secretOf }),
      };
      const answer = await requestToken({ peer: nobody, headers, host: door, listener: door });
      expect(answer).toMatchObject({ status: 401, body: { error: 'invalid_client' } });
    }
  });

  it("a TPP's own certificate is the one that counts", async () => {
    const victim = await clientCertificate(server.certificates.authority, { subject: tppSubject });
    const attacker = await clientCertificate(server.certificates.authority, {
      subject: 'CN=tpp-2',
    });
    const answer = await requestToken({ peer: attacker, headers: forwarded(victim) });
    expect(answer).toMatchObject({ status: 401, body: { error: 'invalid_client' } });
    expect((await lastRefusal()).detail?.reason).toContain('CN=tpp-2');
  });

  it('what it says of its address is not believed', async () => {
    const headers = { 'X-Forwarded-For': '203.0.113.8', Forwarded: 'for=203.0.113.8' };
    await requestToken({ peer: nobody, headers });
    expect(await lastRefusal()).toMatchObject({ address: '127.0.0.1' });
  });
});
