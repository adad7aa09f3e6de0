import { createServer, type Server } from 'node:https';
import { writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import path from 'node:path';
import { TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  createTestCertificates,
  clientCertificate,
  type TestCertificates,
} from '../support/certificates.ts';
import { commandLine, type CommandLine } from '../support/command-line.ts';
import { startAuthorizationServer, type AuthorizationServer } from '../support/server.ts';
import { createTestServers } from '../support/tls-servers.ts';

interface Finding {
  check: string;
  status: string;
  detail: string;
}

const stubs = createTestServers();
let certificates: TestCertificates;
let cli: CommandLine;

beforeAll(async () => {
  certificates = await createTestCertificates();
  cli = await commandLine();
  await writeFile(file('ca.pem'), certificates.authority.certificatePem);
});

afterAll(async () => {
  await stubs.close();
  await cli.remove();
});

const file = (name: string) => path.join(cli.environment['HOME'] ?? '', name);

async function examine(environment: Record<string, string>, words: readonly string[] = []) {
  const own = await commandLine(environment);
  const result = await own.run(['doctor', '--json', '--authority', file('ca.pem'), ...words]);
  await own.remove();
  return { ...result, findings: result.json()['findings'] as Finding[], ok: result.json()['ok'] };
}

/** A server of which `answer` says what the token endpoint makes of the headers, and of a certificate that is shown. */
async function stub(
  answer: (headers: IncomingMessage['headers'], hasCertificate: boolean) => [number, string],
  date?: Date,
) {
  let origin = '';
  const { certificatePem: cert, privateKeyPem: key } = certificates.server;
  const server: Server = createServer(
    { cert, key, requestCert: true, rejectUnauthorized: false },
    (request, response) => {
      if (date !== undefined) response.setHeader('Date', date.toUTCString());
      if (request.url === '/token') {
        const { socket } = request;
        const shown = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;
        const [status, error] = answer(request.headers, shown !== undefined);
        response.writeHead(status).end(JSON.stringify({ error }));
      } else response.end(JSON.stringify({ issuer: origin, token_endpoint: `${origin}/token` }));
    },
  );
  origin = `https://localhost:${String(await stubs.listen(server))}`;
  return { COUNTERSIGN_ISSUER: origin, COUNTERSIGN_MTLS_ORIGIN: origin };
}

/** A server that takes connections and answers nothing. */
async function silentServer() {
  const { certificatePem: cert, privateKeyPem: key } = certificates.server;
  const origin = `https://localhost:${String(await stubs.listen(createServer({ cert, key })))}`;
  return { COUNTERSIGN_ISSUER: origin, COUNTERSIGN_MTLS_ORIGIN: origin };
}

const strict = (): [number, string] => [401, 'invalid_client'];
const failures = (findings: Finding[]) => findings.filter(({ status }) => status === 'failed');

describe('countersign doctor finds a server that believes headers', () => {
  it.each([
    ['client-cert', 'Client-Cert'],
    ['x-forwarded-client-cert', 'X-Forwarded-Client-Cert'],
    ['ssl-client-cert', 'ssl-client-cert'],
    ['x-ssl-client-cert', 'X-SSL-Client-Cert'],
    ['x-forwarded-tls-client-cert', 'X-Forwarded-Tls-Client-Cert'],
    ['x-amzn-mtls-clientcert', 'X-Amzn-Mtls-Clientcert'],
    ['ssl_client_cert', 'SSL_CLIENT_CERT'],
  ])('in %s', async (header, name) => {
    const environment = await stub((headers) =>
      headers[header] === undefined ? strict() : [200, 'none'],
    );
    const { exitCode, ok, findings } = await examine(environment);
    expect([exitCode, ok]).toEqual([1, false]);
    expect(failures(findings)).not.toHaveLength(0);
    for (const { detail } of failures(findings)) {
      expect(detail).toContain(`${name} from outside is read: 200`);
    }
  });

  it('that only complains of one it can not read', async () => {
    const environment = await stub(({ 'client-cert': value }) =>
      value === 'countersign-doctor' ? [400, 'invalid_request'] : strict(),
    );
    const { exitCode, findings } = await examine(environment);
    expect(exitCode).toBe(1);
    expect(failures(findings)).toMatchObject([
      { detail: expect.stringContaining('Client-Cert from outside is read: 400') as string },
    ]);
  });

  it('of whoever shows some certificate', async () => {
    const name = 'x-forwarded-client-cert';
    const environment = await stub((headers, hasCertificate) =>
      hasCertificate && headers[name] !== undefined ? [200, 'none'] : strict(),
    );
    const { exitCode, findings } = await examine(environment);
    expect(exitCode).toBe(1);
    expect(failures(findings)[0]?.detail).toContain(
      'beside a certificate that nobody trusts, X-Forwarded-Client-Cert from outside is read: 200',
    );
  });

  it("with the client's own certificate", async () => {
    const { certificatePem } = await clientCertificate(certificates.authority);
    await writeFile(file('tpp.pem'), certificatePem);
    const environment = await stub(({ 'ssl-client-cert': value }) =>
      value === encodeURIComponent(certificatePem) ? [200, 'none'] : strict(),
    );
    expect(await examine(environment)).toMatchObject({ exitCode: 0 });
    const words = ['--client', 'tpp-1', '--certificate', file('tpp.pem')];
    expect(await examine(environment, words)).toMatchObject({ exitCode: 1 });
  });

  it('that gives tokens to anybody', async () => {
    const { exitCode, findings } = await examine(await stub(() => [200, 'none']));
    expect(exitCode).toBe(1);
    expect(failures(findings)[0]?.detail).toContain('without a certificate the answer is 200');
  });
});

describe('countersign doctor', () => {
  it('finds nothing in a server that drops them', async () => {
    const { exitCode, ok, findings } = await examine(await stub(strict));
    expect([exitCode, ok]).toEqual([0, true]);
    expect(findings.map(({ check }) => check)).toEqual([
      'configuration',
      'discovery',
      'clock',
      expect.stringMatching(/^spoofing https:/),
    ]);
  });

  it('finds nothing in a proxy that itself refuses certificates that it does not know', async () => {
    const environment = await stub((_headers, hasCertificate) =>
      hasCertificate ? [400, 'no JSON'] : strict(),
    );
    expect(await examine(environment)).toMatchObject({ exitCode: 0 });
  });

  it.each([
    [30, 'warning'],
    [3600, 'failed'],
  ])('compares the clocks: %i s apart is a %s', async (seconds, status) => {
    const { findings } = await examine(await stub(strict, new Date(Date.now() - seconds * 1000)));
    expect(findings.find(({ check }) => check === 'clock')).toMatchObject({ status });
  });

  it('says how long the certificates last', async () => {
    const environment = {
      ...(await stub(strict)),
      COUNTERSIGN_TLS_CERTIFICATE: certificates.server.certificatePem,
      COUNTERSIGN_CLIENT_TRUSTSTORE: certificates.authority.certificatePem,
    };
    const { findings } = await examine(environment);
    expect(findings).toContainEqual(
      expect.objectContaining({ check: 'server certificate', status: 'ok' }),
    );
    expect(findings).toContainEqual(
      expect.objectContaining({ check: 'client truststore', status: 'ok' }),
    );
  });

  it('names settings that are unsafe', async () => {
    const environment = {
      ...(await stub(strict)),
      COUNTERSIGN_PROXY_CERTIFICATE_HEADER: 'nginx',
    };
    const { exitCode, findings } = await examine(environment);
    expect(exitCode).toBe(1);
    expect(failures(findings)[0]?.detail).toContain('nothing tells proxies from callers');
  });

  it('says when nobody answers', async () => {
    const { exitCode, findings } = await examine({ COUNTERSIGN_ISSUER: 'https://localhost:1' });
    expect(exitCode).toBe(1);
    expect(failures(findings)).toMatchObject([{ check: 'connection' }]);
  });

  it('does not call unsafe what it could not look at', async () => {
    const verdict = async (environment: Record<string, string>) => {
      const own = await commandLine(environment);
      const { output } = await own.run(['doctor', '--authority', file('ca.pem')]);
      await own.remove();
      return output.trim().split('\n').at(-1);
    };
    const nobody = { COUNTERSIGN_ISSUER: 'https://localhost:1' };
    expect(await verdict(nobody)).toBe(
      'What FAILED could not be looked at: whether it is safe is not known.',
    );
    expect(await verdict({ ...nobody, COUNTERSIGN_PROXY_CERTIFICATE_HEADER: 'nginx' })).toBe(
      'Something unsafe was found, and not everything could be looked at.',
    );
    const unsafe = await stub(() => [200, 'none']);
    expect(await verdict(unsafe)).toBe('Something unsafe was found.');
  });

  it('ends when time is out, whatever the server does', async () => {
    const { exitCode, findings } = await examine(await silentServer(), ['--timeout', '1']);
    expect(exitCode).toBe(1);
    expect(failures(findings)).toMatchObject([
      { check: 'connection', detail: expect.stringContaining('took too long') as string },
    ]);
  });

  it('shows nothing that moves a cursor', async () => {
    const environment = await stub(() => [401, '\u009b2J\u202e\u{e0041}']);
    const { output, findings } = await examine(environment);
    expect(output.replaceAll('\n', '')).not.toMatch(/[\P{ASCII}\p{Cc}]/u);
    expect(failures(findings)[0]?.detail).toContain('\u009b2J\u202e\u{e0041}');
  });

  it('looks at the configured mTLS address, though the metadata leave it out', async () => {
    const believing = await stub(({ 'client-cert': value }) =>
      value === undefined ? strict() : [200, 'none'],
    );
    const mtlsOrigin = believing.COUNTERSIGN_ISSUER;
    const environment = { ...(await stub(strict)), COUNTERSIGN_MTLS_ORIGIN: mtlsOrigin };
    const { exitCode, findings } = await examine(environment);
    expect(exitCode).toBe(1);
    expect(failures(findings)[0]?.check).toBe(`spoofing ${mtlsOrigin}/token`);
  });

  it('prints a table for people', async () => {
    const own = await commandLine(await stub(strict));
    const { output, exitCode } = await own.run(['doctor', '--authority', file('ca.pem')]);
    await own.remove();
    expect(exitCode).toBe(0);
    expect(output).toMatch(/^STATUS +CHECK +DETAIL\n/);
    expect(output).toContain('Nothing unsafe was found.');
  });
});

describe('countersign doctor and our own server', () => {
  let server: AuthorizationServer;
  let proxyAuthority: string;

  beforeAll(async () => {
    ({ certificatePem: proxyAuthority } = certificates.foreignAuthority);
    server = await startAuthorizationServer({
      environment: {
        COUNTERSIGN_PROXY_CERTIFICATE_HEADER: 'nginx',
        COUNTERSIGN_PROXY_TRUSTSTORE: proxyAuthority,
        COUNTERSIGN_PROXY_NAMES: 'dns:proxy.bank.internal',
      },
    });
  });

  afterAll(() => server.stop());

  it('agree, at both addresses', async () => {
    await writeFile(file('server-ca.pem'), server.certificates.authority.certificatePem);
    await writeFile(file('server-tpp.pem'), server.tpp.certificatePem);
    const own = await commandLine({
      COUNTERSIGN_ISSUER: server.issuer,
      COUNTERSIGN_MTLS_ORIGIN: server.mtlsOrigin,
    });
    const { exitCode, json } = await own.run([
      'doctor',
      '--json',
      ...['--authority', file('server-ca.pem')],
      ...['--client', 'tpp', '--certificate', file('server-tpp.pem')],
    ]);
    await own.remove();
    const findings = json()['findings'] as Finding[];
    expect(failures(findings)).toEqual([]);
    expect(exitCode).toBe(0);
    expect(findings.filter(({ check }) => check.startsWith('spoofing'))).toHaveLength(2);
  });
});
