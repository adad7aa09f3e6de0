import { Buffer } from 'node:buffer';
import { createPrivateKey } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader, SignJWT } from 'jose';
import type { JWTPayload } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startResourceServer } from '../../examples/resource-server/server.ts';
import type {
  ResourceServerOptions,
  RunningResourceServer,
} from '../../examples/resource-server/server.ts';
import type { IssuedCertificate } from '../../src/development/certificate-authority.ts';
import { clientCertificate } from '../support/certificates.ts';
import { accountsApi, opaqueApi, startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

let server: AuthorizationServer;
let api: RunningResourceServer;
const apis: RunningResourceServer[] = [];

beforeAll(async () => {
  server = await startAuthorizationServer();
  api = await startApi();
});

afterAll(async () => {
  await Promise.all(apis.map((each) => each.stop()));
  await server.stop();
});

async function startApi(
  options: Partial<ResourceServerOptions> = {},
): Promise<RunningResourceServer> {
  const { authority, server: certificate } = server.certificates;
  const started = await startResourceServer({
    issuer: server.issuer,
    identifier: accountsApi,
    tls: {
      cert: certificate.certificatePem,
      key: certificate.privateKeyPem,
      ca: authority.certificatePem,
    },
    port: 0,
    fetch: server.fetch(),
    ...options,
  });
  apis.push(started);
  return started;
}

const introspection = () => ({
  clientId: 'accounts-rs',
  clientSecret: server.secrets['accounts-rs'],
});

async function tokenOf(
  from: AuthorizationServer,
  { scope = 'accounts', resource = accountsApi } = {},
): Promise<string> {
  const response = await from.fetch(from.tpp)(`${from.mtlsOrigin}/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: 'tpp',
      scope,
      resource,
    }),
  });
  expect(response.status).toBe(200);
  return ((await response.json()) as { access_token: string }).access_token;
}

/** A token without `cnf`, as clients without certificates get. */
async function unboundToken(): Promise<string> {
  const credentials = Buffer.from(`web:${server.secrets.web}`).toString('base64');
  const response = await server.fetch()(`${server.issuer}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${credentials}` },
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      scope: 'accounts',
      resource: accountsApi,
    }),
  });
  return ((await response.json()) as { access_token: string }).access_token;
}

interface Call {
  certificate?: IssuedCertificate | undefined;
  method?: string;
  path?: string;
  at?: RunningResourceServer;
}

async function call(authorization: string | undefined, { certificate, ...options }: Call = {}) {
  const { method = 'GET', path = '/accounts', at = api } = options;
  const response = await server.fetch(certificate)(at.url + path, {
    method,
    headers: authorization === undefined ? {} : { authorization },
  });
  const challenge = response.headers.get('www-authenticate');
  return { status: response.status, challenge, body: await response.json() };
}

const present = (token: string, options: Call = {}) =>
  call(`Bearer ${token}`, { certificate: server.tpp, ...options });

const invalidToken = {
  status: 401,
  challenge: expect.stringContaining('error="invalid_token"') as unknown,
  body: { error: 'invalid_token' },
};

/** Any token that the issuer's own key could sign. */
async function signed(
  change: (claims: JWTPayload) => void,
  header: Record<string, string> = {},
): Promise<string> {
  const [key] = server.material.signingKeys;
  const token = await tokenOf(server);
  const claims = decodeJwt(token);
  change(claims);
  return new SignJWT(claims)
    .setProtectedHeader({ ...decodeProtectedHeader(token), alg: 'RS256', ...header })
    .sign(createPrivateKey({ key: { ...key }, format: 'jwk' }));
}

const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

describe('the example resource server', () => {
  it('serves a token with its certificate', async () => {
    const { status, body } = await present(await tokenOf(server));
    expect(status).toBe(200);
    expect(body).toMatchObject({ accounts: [{ holder: 'tpp' }, { holder: 'tpp' }] });
  });

  it('serves a token that is bound to nothing', async () => {
    expect(await call(`Bearer ${await unboundToken()}`)).toMatchObject({ status: 200 });
  });

  it('refuses a bound token without a certificate', async () => {
    const token = await tokenOf(server);
    const refused = await call(`Bearer ${token}`);
    expect(refused).toEqual(invalidToken);
    expect(refused).toMatchObject({
      challenge: expect.stringContaining('no certificate was presented') as unknown,
    });
  });

  it('refuses a bound token with another certificate, even of the same name', async () => {
    const token = await tokenOf(server);
    const { authority } = server.certificates;
    const other = await clientCertificate(authority, { subject: 'CN=other' });
    const namesake = await clientCertificate(authority, {
      subject: 'CN=tpp-1,O=Example TPP\\, Ltd,C=GB',
    });
    expect(await present(token, { certificate: other })).toEqual(invalidToken);
    expect(await present(token, { certificate: namesake })).toEqual(invalidToken);
    expect(await present(token)).toMatchObject({ status: 200 });
  });

  it('refuses a token that is bound by something other than a certificate', async () => {
    const rebound = await signed((claims) => (claims['cnf'] = { jkt: 'thumbprint-of-a-key' }));
    expect(await present(rebound)).toEqual(invalidToken);
    const nothing = await signed((claims) => (claims['cnf'] = null));
    expect(await present(nothing)).toEqual(invalidToken);
  });

  it('refuses an expired token', async () => {
    const token = await tokenOf(server);
    const later = (seconds: number) => () =>
      new Date(((decodeJwt(token).exp ?? 0) + seconds) * 1000);
    const before = await startApi({ now: later(-1) });
    const after = await startApi({ now: later(0) });
    expect(await present(token, { at: before })).toMatchObject({ status: 200 });
    expect(await present(token, { at: after })).toEqual({
      ...invalidToken,
      challenge: `Bearer realm="${accountsApi}", error="invalid_token", error_description="the token has expired"`,
    });
  });

  it('refuses a token for somebody else', async () => {
    const elsewhere = await startApi({ identifier: 'https://elsewhere.example.com' });
    expect(await present(await tokenOf(server), { at: elsewhere })).toEqual(invalidToken);
  });

  it('refuses a token without the scope, and names the scope', async () => {
    const token = await tokenOf(server, { scope: 'accounts' });
    expect(await present(token, { method: 'POST', path: '/payments' })).toEqual({
      status: 403,
      challenge: `Bearer realm="${accountsApi}", error="insufficient_scope", error_description="the token is not for this", scope="payments"`,
      body: { error: 'insufficient_scope' },
    });
    const payments = await tokenOf(server, { scope: 'payments' });
    expect(await present(payments)).toMatchObject({ status: 403 });
    const paid = await present(payments, { method: 'POST', path: '/payments' });
    expect(paid).toMatchObject({ status: 201, body: { status: 'received' } });
  });

  it('refuses a token that was changed', async () => {
    const [header, payload = '', signature] = (await tokenOf(server)).split('.');
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as JWTPayload;
    const widened = [header, encoded({ ...claims, scope: 'accounts payments' }), signature];
    expect(await present(widened.join('.'))).toEqual(invalidToken);
  });

  it('refuses a token that nobody signed, or anybody could have', async () => {
    const token = await tokenOf(server);
    const [, payload = ''] = token.split('.');
    const none = `${encoded({ alg: 'none', typ: 'at+jwt' })}.${payload}.`;
    expect(await present(none)).toEqual(invalidToken);
    const { kid } = decodeProtectedHeader(token);
    const withPublicKey = await new SignJWT(decodeJwt(token))
      .setProtectedHeader({ alg: 'HS256', typ: 'at+jwt', kid: kid ?? '' })
      .sign(Buffer.from(JSON.stringify(server.material.signingKeys[0]?.n)));
    expect(await present(withPublicKey)).toEqual(invalidToken);
  });

  it('refuses what is no access token, although the issuer signed it', async () => {
    expect(await present(await signed(() => undefined))).toMatchObject({ status: 200 });
    expect(await present(await signed(() => undefined, { typ: 'JWT' }))).toEqual(invalidToken);
    for (const claim of ['exp', 'jti', 'client_id', 'sub', 'aud', 'iss'] as const) {
      const token = await signed((claims) => Reflect.deleteProperty(claims, claim));
      expect({ claim, ...(await present(token)) }).toEqual({ claim, ...invalidToken });
    }
  });

  it('refuses a token of another issuer', async () => {
    const other = await startAuthorizationServer();
    try {
      expect(await present(await tokenOf(other))).toEqual(invalidToken);
    } finally {
      await other.stop();
    }
    const renamed = await signed((claims) => (claims.iss = 'https://other.example.com'));
    expect(await present(renamed)).toEqual(invalidToken);
  });

  it('refuses opaque tokens and garbage', async () => {
    const opaque = await tokenOf(server, { scope: 'statements', resource: opaqueApi });
    expect(await present(opaque)).toEqual(invalidToken);
    expect(await present('eyJhbGciOi.x.y')).toEqual(invalidToken);
  });

  it.each([undefined, 'Basic dHBwOnRwcA==', 'Digest eyJ', 'Bearers eyJ'])(
    'only says what to bring when asked with %s',
    async (authorization) => {
      expect(await call(authorization)).toEqual({
        status: 401,
        challenge: `Bearer realm="${accountsApi}"`,
        body: { error: 'unauthorized' },
      });
    },
  );

  it.each(['Bearer', 'Bearer ', 'Bearer a b', 'Bearer a,b', 'Bearer "a"', 'Bearer a=b'])(
    'refuses the malformed header %s',
    async (authorization) => {
      expect(await call(authorization)).toMatchObject({
        status: 400,
        challenge: expect.stringContaining('error="invalid_request"') as unknown,
      });
    },
  );

  it('lets nobody in while it cannot fetch the keys, and recovers', async () => {
    let isDown = true;
    const errors: unknown[] = [];
    const fetch: typeof globalThis.fetch = (...request) =>
      isDown ? Promise.reject(new TypeError('fetch failed')) : server.fetch()(...request);
    const alone = await startApi({ fetch, onError: (error) => errors.push(error) });
    const token = await tokenOf(server);
    expect(await present(token, { at: alone })).toEqual({
      status: 503,
      challenge: null,
      body: { error: 'temporarily_unavailable' },
    });
    expect(errors).toHaveLength(1);
    isDown = false;
    expect(await present(token, { at: alone })).toMatchObject({ status: 200 });
  });
});

describe('the example resource server with introspection', () => {
  it('refuses a revoked token that it would serve otherwise', async () => {
    const asking = await startApi({ introspection: introspection() });
    const token = await tokenOf(server);
    expect(await present(token, { at: asking })).toMatchObject({ status: 200 });
    const revoked = await server.fetch(server.tpp)(`${server.mtlsOrigin}/revoke`, {
      method: 'POST',
      body: new URLSearchParams({ client_id: 'tpp', token }),
    });
    expect(revoked.status).toBe(200);
    expect(await present(token, { at: asking })).toEqual(invalidToken);
    expect(await present(token)).toMatchObject({ status: 200 });
  });

  it('lets nobody in when it may not introspect', async () => {
    const client = { ...introspection(), clientSecret: 'not the secret' };
    const stranger = await startApi({ introspection: client });
    const answer = await present(await tokenOf(server), { at: stranger });
    expect(answer).toMatchObject({ status: 503 });
  });
});
