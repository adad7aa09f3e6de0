import { X509Certificate } from 'node:crypto';
import { decodeJwt } from 'jose';
import * as openid from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { certificateThumbprint } from '../../src/tls/client-certificate.ts';
import { discover, discoverTpp } from '../support/openid.ts';
import { basic, post, rows, send } from '../support/protocol.ts';
import type { Answer, Form } from '../support/protocol.ts';
import { accountsApi, opaqueApi, startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

let server: AuthorizationServer;
let web: openid.Configuration;
const machine = { grant_type: 'client_credentials' };

beforeAll(async () => {
  server = await startAuthorizationServer({
    clients: [
      {
        metadata: {
          client_id: 'poor',
          redirect_uris: [],
          grant_types: ['client_credentials'],
          token_endpoint_auth_method: 'client_secret_basic',
        },
        clientSecretFile: import.meta.filename,
      },
    ],
  });
  await server.running.app.clients.setSecret('poor', server.secrets.web);
  const authentication = openid.ClientSecretBasic(server.secrets.web);
  web = await discover(server, { id: 'web', authentication });
});

afterAll(() => server.stop());

function asWeb(form: Form, id = 'web'): Promise<Answer> {
  const headers = basic(id, server.secrets.web);
  return post(server.fetch(), `${server.issuer}/token`, { form, headers });
}

describe('A token for a machine', () => {
  it('is a bearer JWT with what was asked, and no refresh token', async () => {
    const { status, body, headers } = await asWeb({ ...machine, scope: 'accounts' });
    expect(status).toBe(200);
    expect(body).toEqual({
      access_token: expect.stringMatching(/^eyJ/) as unknown,
      expires_in: 600,
      token_type: 'Bearer',
      scope: 'accounts',
    });
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('content-type')).toBe('application/json; charset=utf-8');
    const claims = decodeJwt(String(body['access_token']));
    expect(Object.keys(claims).sort()).toEqual(
      ['aud', 'client_id', 'exp', 'iat', 'iss', 'jti', 'scope', 'sub'].sort(),
    );
    expect(claims).toMatchObject({
      iss: server.issuer,
      sub: 'web',
      client_id: 'web',
      aud: accountsApi,
      scope: 'accounts',
    });
  });

  it('is for the resource server that it names', async () => {
    const token = await openid.clientCredentialsGrant(web, { resource: opaqueApi });
    expect(token.access_token).toMatch(/^[\w-]{43}$/);
    const jwt = await openid.clientCredentialsGrant(web, { resource: accountsApi });
    expect(decodeJwt(jwt.access_token).aud).toBe(accountsApi);
  });

  it('is for the first one that it may use and that knows the scope, where it names none', async () => {
    const opaque = await asWeb({ ...machine, scope: 'statements', resource: opaqueApi });
    expect(opaque.body).toMatchObject({ scope: 'statements', token_type: 'Bearer' });
    const { body } = await asWeb(machine);
    expect(decodeJwt(String(body['access_token'])).aud).toBe(accountsApi);
  });

  it('is bound to the certificate of a client that has one', async () => {
    const configuration = await discoverTpp(server);
    const thumbprint = certificateThumbprint(new X509Certificate(server.tpp.certificatePem));
    const jwt = await openid.clientCredentialsGrant(configuration, { scope: 'accounts payments' });
    expect(decodeJwt(jwt.access_token)).toMatchObject({
      cnf: { 'x5t#S256': thumbprint },
      scope: 'accounts payments',
    });
    const { access_token: token } = await openid.clientCredentialsGrant(configuration, {
      resource: opaqueApi,
    });
    const { body } = await post(server.fetch(), `${server.issuer}/introspect`, {
      form: { token },
      headers: basic('opaque-rs', server.secrets['opaque-rs']),
    });
    expect(body).toMatchObject({ active: true, cnf: { 'x5t#S256': thumbprint } });
  });

  it('leaves a row behind only when it is opaque, and then not itself', async () => {
    const count = async () => {
      const [row] = await rows(server, 'SELECT count(*)::int AS n FROM artifacts');
      return Number(row?.['n']);
    };
    const before = await count();
    await asWeb({ ...machine, resource: accountsApi });
    expect(await count()).toBe(before);
    const { body } = await asWeb({ ...machine, resource: opaqueApi });
    expect(await count()).toBe(before + 1);
    const found = await rows(server, 'SELECT a::text FROM artifacts a');
    expect(JSON.stringify(found)).not.toContain(body['access_token']);
    expect(JSON.stringify(found)).not.toContain(
      Buffer.from(String(body['access_token'])).toString('hex'),
    );
  });
});

describe('A machine that asks for too much', () => {
  it.each([
    'payments',
    'admin',
    'accounts payments',
    'accounts nonsense',
    'statements',
    'Accounts',
    'accounts\tpayments',
  ])('is told invalid_scope: "%s"', async (scope) => {
    const { status, body } = await asWeb({ ...machine, scope, resource: accountsApi });
    expect([status, body['error'], body['access_token']]).toEqual([
      400,
      'invalid_scope',
      undefined,
    ]);
  });

  it('is told that OpenID scopes are not for machines', async () => {
    for (const scope of ['openid', 'openid accounts', 'offline_access', 'profile']) {
      const { status, body } = await asWeb({ ...machine, scope });
      expect([status, body['error']]).toEqual([400, 'invalid_scope']);
    }
  });

  it.each([
    'https://unknown.example.com',
    `${accountsApi}/`,
    'https://ACCOUNTS.example.com',
    'accounts',
    `${accountsApi}#fragment`,
    'toString',
  ])('is told invalid_target: %j', async (resource) => {
    const { status, body } = await asWeb([...Object.entries(machine), ['resource', resource]]);
    expect([status, body['error']]).toEqual([400, 'invalid_target']);
  });

  it('is told invalid_target where it has no permission, by name and by default', async () => {
    for (const more of [
      {},
      { resource: accountsApi },
      { resource: opaqueApi },
      { scope: 'accounts' },
    ]) {
      const { status, body, text } = await asWeb({ ...machine, ...more }, 'poor');
      expect([more, status, body['error']]).toEqual([more, 400, 'invalid_target']);
      expect(text).not.toContain('poor');
    }
  });

  it('is told invalid_target for two resource servers at once', async () => {
    const { status, body } = await asWeb([
      ...Object.entries(machine),
      ['resource', accountsApi],
      ['resource', opaqueApi],
    ]);
    expect([status, body['error']]).toEqual([400, 'invalid_target']);
  });

  it('gets only what it still may when a permission is taken away', async () => {
    const { clients } = server.running.app;
    const client = await clients.find('web');
    if (client === undefined) throw new Error('no client');
    const { metadata, source, permissions } = client;
    await clients.save({ metadata, source, permissions: { [opaqueApi]: ['statements'] } });
    const refused = await asWeb({ ...machine, resource: accountsApi });
    await clients.save({ metadata, source, permissions });
    expect([refused.status, refused.body['error']]).toEqual([400, 'invalid_target']);
    expect((await asWeb({ ...machine, resource: accountsApi })).status).toBe(200);
  });
});

describe('The token endpoint', () => {
  const url = () => `${server.issuer}/token`;
  const headers = () => basic('web', server.secrets.web);

  it('ignores parameters that it does not know', async () => {
    const { status } = await asWeb({ ...machine, audience: 'x', __proto__x: '1', nonce: 'y' });
    expect(status).toBe(200);
  });

  it.each(['grant_type', 'scope', 'client_id', 'client_secret'])(
    'refuses %s twice',
    async (name) => {
      const usual = { ...machine, scope: 'accounts', client_id: 'web' };
      const pairs = Object.entries(usual).filter(([key]) => key !== name);
      const { status, body } = await asWeb([...pairs, [name, 'accounts'], [name, 'accounts']]);
      expect([status, body['error']]).toEqual([400, 'invalid_request']);
    },
  );

  it('takes nothing from the query', async () => {
    const query = new URLSearchParams({ ...machine, scope: 'accounts' }).toString();
    const answer = await send(server.fetch(), `${url()}?${query}`, {
      method: 'POST',
      headers: { ...headers(), 'content-type': 'application/x-www-form-urlencoded' },
    });
    expect([answer.status, answer.body['error']]).toEqual([400, 'invalid_request']);
    const got = await send(server.fetch(), `${url()}?${query}`, { headers: headers() });
    expect(got.status).toBe(405);
  });

  it.each([
    ['application/json', JSON.stringify({ ...machine, scope: 'accounts' })],
    ['text/plain', 'grant_type=client_credentials'],
    ['multipart/form-data; boundary=x', '--x--'],
    ['', 'grant_type=client_credentials'],
  ])('refuses a body of type "%s"', async (type, body) => {
    const answer = await send(server.fetch(), url(), {
      method: 'POST',
      body: Buffer.from(body),
      headers: { ...headers(), ...(type === '' ? {} : { 'content-type': type }) },
    });
    expect([answer.status, answer.body['error']]).toEqual([400, 'invalid_request']);
  });

  it('refuses a body that is too large', async () => {
    for (const path of ['/token', '/introspect', '/revoke']) {
      const answer = await post(server.fetch(), server.issuer + path, {
        form: { ...machine, token: 'x', padding: 'x'.repeat(60_000) },
        headers: headers(),
      });
      expect([400, 413]).toContain(answer.status);
      expect(answer.body['error']).toMatch(/^(?:invalid_request|payload_too_large)$/);
    }
  });

  it('refuses an unknown grant type, an empty one and none', async () => {
    const errors = [
      (await asWeb({ grant_type: 'nonsense' })).body['error'],
      (await asWeb({ grant_type: '' })).body['error'],
      (await asWeb({ scope: 'accounts' })).body['error'],
    ];
    expect(errors).toEqual(['unsupported_grant_type', 'invalid_request', 'invalid_request']);
  });

  it('answers with JSON, whatever a browser would like', async () => {
    const { headers: answered, body } = await post(server.fetch(), url(), {
      form: { grant_type: 'nonsense' },
      headers: { ...headers(), accept: 'text/html' },
    });
    expect(answered.get('content-type')).toMatch(/^application\/json/);
    expect(body['error']).toBe('unsupported_grant_type');
  });
});
