import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingHttpHeaders, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import * as openid from 'openid-client';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { IssuedCertificate } from '../../src/development/certificate-authority.ts';
import { clientCertificate } from '../support/certificates.ts';
import { freePort } from '../support/free-port.ts';
import { basic } from '../support/protocol.ts';
import { accountsApi, opaqueApi, startAuthorizationServer, tppSubject } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { customerTokens } from '../support/tokens.ts';
import { machineToken } from './support/access-tokens.ts';
import { startNginx } from './support/nginx.ts';
import type { Nginx } from './support/nginx.ts';
import { adapted, shippedFile } from './support/shipped.ts';

/** What got through to the API behind the gateway. */
interface Passed {
  method: string | undefined;
  headers: IncomingHttpHeaders;
  body: string;
}

let server: AuthorizationServer;
let api: Server;
let origin: string;
const gateways: Nginx[] = [];
const passed: Passed[] = [];

beforeAll(async () => {
  server = await startAuthorizationServer();
  api = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => (body += text));
    request.on('end', () => {
      passed.push({ method: request.method, headers: request.headers, body });
      response.end('served');
    });
  }).listen(0, '127.0.0.1');
  await once(api, 'listening');
  origin = await startGateway();
});

beforeEach(() => {
  passed.length = 0;
});

afterAll(async () => {
  await Promise.all(gateways.map((gateway) => gateway.stop()));
  api.close();
  await server.stop();
});

/** What may be wrong around a gateway. */
interface Surroundings {
  /** The port at which it looks for the authorization server. */
  port?: string;
  secret?: string;
  trusted?: IssuedCertificate;
}

/** The configuration that we ship, with the addresses and files of this test; gives its origin. */
async function startGateway(surroundings: Surroundings = {}): Promise<string> {
  const { certificates, secrets, issuer } = server;
  const { port = new URL(issuer).port, secret = secrets['accounts-rs'] } = surroundings;
  const shipped = await shippedFile('deploy/nginx/introspecting-gateway.conf');
  const listening = await freePort();
  const gateway = await startNginx({
    modules: ['ngx_http_js_module'],
    ports: [listening],
    http: (path) =>
      adapted(shipped, [
        ['server auth.bank.example:443', `server 127.0.0.1:${port}`],
        ['Host auth.bank.example', `Host ${new URL(issuer).host}`],
        ['proxy_ssl_name auth.bank.example', 'proxy_ssl_name localhost'],
        ['listen 443', `listen 127.0.0.1:${String(listening)}`],
        ['127.0.0.1:8080', `127.0.0.1:${String((api.address() as AddressInfo).port)}`],
        ['/etc/nginx/countersign/', `${path}/`],
        ['/etc/ssl/certs/ca-certificates.crt', `${path}/ca.crt`],
      ]),
    files: {
      'introspecting-gateway.js': await shippedFile('deploy/nginx/introspecting-gateway.js'),
      'introspection-credentials.conf': `proxy_set_header Authorization "${basic('accounts-rs', secret).authorization}";`,
      'gateway.crt': certificates.server.certificatePem,
      'gateway.key': certificates.server.privateKeyPem,
      'ca.crt': (surroundings.trusted ?? certificates.authority).certificatePem,
    },
  });
  gateways.push(gateway);
  return `https://localhost:${String(listening)}`;
}

interface Call {
  token?: string;
  certificate?: IssuedCertificate | undefined;
  headers?: Record<string, string>;
  body?: string;
  at?: string;
}

/** A request with the certificate of "tpp" unless said otherwise. */
async function call({ token, headers = {}, at = origin, body, ...rest }: Call) {
  const certificate = 'certificate' in rest ? rest.certificate : server.tpp;
  const response = await server.fetch(certificate)(`${at}/accounts?page=1`, {
    headers: { ...headers, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
    ...(body === undefined ? {} : { method: 'POST', body }),
  });
  await response.text();
  return { status: response.status, challenge: response.headers.get('www-authenticate') };
}

const invalid = { status: 401, challenge: 'Bearer error="invalid_token"' };

describe('NGINX as a gateway that introspects', () => {
  it('lets an active token through and says whose it is', async () => {
    const token = await machineToken(server, 'tpp');
    expect(await call({ token })).toMatchObject({ status: 200 });
    expect(passed).toHaveLength(1);
    expect(passed[0]?.headers).toMatchObject({
      'x-token-subject': 'tpp',
      'x-token-client': 'tpp',
      'x-token-scope': 'accounts',
    });
    expect(passed[0]?.headers).not.toHaveProperty('authorization');
  });

  it("names the customer of a customer's token", async () => {
    const access = { resource: accountsApi, scope: 'openid accounts' };
    const { accessToken: token } = await customerTokens(server, 'tpp', access);
    expect(await call({ token })).toMatchObject({ status: 200 });
    expect(passed[0]?.headers).toMatchObject({ 'x-token-subject': server.customer.id });
  });

  it('hands on a body as it is', async () => {
    const body = JSON.stringify({ amount: '10.00', reference: 'ü'.repeat(10_000) });
    expect(await call({ token: await machineToken(server, 'tpp'), body })).toMatchObject({
      status: 200,
    });
    expect(passed).toMatchObject([{ method: 'POST', body }]);
  });

  it('replaces the identity that a caller claims', async () => {
    const headers = {
      'x-token-subject': 'admin',
      'X-Token-Client': 'admin',
      'x-token-scope': 'admin',
      x_token_subject: 'admin',
      'token-subject': 'admin',
    };
    const token = await machineToken(server, 'tpp');
    expect(await call({ token, headers })).toMatchObject({ status: 200 });
    expect(passed[0]?.headers).toMatchObject({
      'x-token-subject': 'tpp',
      'x-token-client': 'tpp',
      'x-token-scope': 'accounts',
    });
    expect(passed[0]?.headers).not.toHaveProperty('x_token_subject');
    expect(await call({ headers })).toEqual({ status: 401, challenge: 'Bearer' });
    expect(passed).toHaveLength(1);
  });

  it('refuses a token as soon as it is revoked', async () => {
    const access = { resource: accountsApi, scope: 'accounts' };
    const { accessToken: token, configuration } = await customerTokens(server, 'tpp', access);
    expect(await call({ token })).toMatchObject({ status: 200 });
    await openid.tokenRevocation(configuration, token);
    expect(await call({ token })).toEqual(invalid);
  });

  it('refuses a token for another API', async () => {
    const token = await machineToken(server, 'tpp', { resource: opaqueApi, scope: 'statements' });
    expect(await call({ token })).toEqual(invalid);
    expect(passed).toEqual([]);
  });

  it('refuses a bound token without its certificate', async () => {
    const token = await machineToken(server, 'tpp');
    const { authority } = server.certificates;
    const namesake = await clientCertificate(authority, { subject: tppSubject });
    expect(await call({ token, certificate: namesake })).toEqual(invalid);
    expect(await call({ token, certificate: undefined })).toEqual(invalid);
    expect(passed).toEqual([]);
  });

  it('refuses a token that is bound to nothing', async () => {
    expect(await call({ token: await machineToken(server, 'web') })).toEqual(invalid);
  });

  it('refuses a token without the scope, and names the scope', async () => {
    const token = await machineToken(server, 'tpp', { scope: 'payments' });
    expect(await call({ token })).toEqual({
      status: 403,
      challenge: 'Bearer error="insufficient_scope", scope="accounts"',
    });
    expect(passed).toEqual([]);
  });

  it('refuses what is no bearer token', async () => {
    const malformed = { status: 401, challenge: 'Bearer error="invalid_request"' };
    for (const authorization of ['Basic dHBwOnRwcA==', 'Bearer a b', 'Bearer a&token=b']) {
      expect(await call({ headers: { authorization } })).toEqual(malformed);
    }
    expect(await call({})).toEqual({ status: 401, challenge: 'Bearer' });
    expect(await call({ token: 'guessed' })).toEqual(invalid);
  });

  it('can not be asked for its inner locations', async () => {
    const token = await machineToken(server, 'tpp');
    for (const path of ['/_introspection', '/_countersign']) {
      const response = await server.fetch(server.tpp)(origin + path, {
        headers: { authorization: `Bearer ${token}` },
      });
      expect([path, response.status]).toEqual([path, 404]);
    }
  });

  it.each([
    ['gets no answer', async () => ({ port: String(await freePort()) })],
    ['is not accepted there', () => ({ secret: 'another' })],
    [
      'does not know the certificate there',
      () => ({ trusted: server.certificates.foreignAuthority }),
    ],
  ])('refuses everything when it %s', async (_what, surroundings) => {
    const at = await startGateway(await surroundings());
    const token = await machineToken(server, 'tpp');
    expect(await call({ token, at })).toMatchObject({ status: 503 });
    expect(passed).toEqual([]);
    expect(await call({ token })).toMatchObject({ status: 200 });
  });
});
