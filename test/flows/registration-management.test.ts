import * as openid from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { IssuedCertificate } from '../../src/development/certificate-authority.ts';
import {
  softwareCertificate,
  strictDirectory,
  testDirectory,
  ukDirectory,
} from '../support/directory.ts';
import type { TestDirectory, TestSoftware } from '../support/directory.ts';
import { obtainTokens } from '../support/journey.ts';
import { discover } from '../support/openid.ts';
import { auditOf, post, rows } from '../support/protocol.ts';
import type { Answer } from '../support/protocol.ts';
import { callRegistration, registered } from '../support/registering.ts';
import { accountsApi, startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { introspect } from '../support/tokens.ts';

const managementApi = 'https://management.example.com';

let directory: TestDirectory;
let server: AuthorizationServer;
let other: AuthorizationServer;

beforeAll(async () => {
  directory = await testDirectory([
    {
      issuer: 'https://managed.example.com',
      keys: { file: 'keys.json' },
      algorithms: ['ES256'],
      maxAgeSeconds: 300,
      roles: { AISP: { [accountsApi]: ['accounts'], [managementApi]: ['registration', 'other'] } },
      certificate: [{ attribute: 'UID', claim: 'software_id' }],
      profile: 'baseline',
    },
  ]);
  const environment = {
    ...directory.environment,
    COUNTERSIGN_REGISTRATION_RESOURCE: managementApi,
    COUNTERSIGN_REGISTRATION_SCOPE: 'registration',
  };
  const resourceServers = [
    {
      identifier: managementApi,
      name: 'Registration',
      scopes: { registration: { en: 'Manage' }, other: { en: 'Else' } },
    },
  ];
  server = await startAuthorizationServer({ environment, resourceServers });
  other = await startAuthorizationServer({ environment, beside: server });
});

afterAll(async () => {
  await other.stop();
  await server.stop();
  await directory.close();
});

interface Registered {
  id: string;
  token: string;
  certificate: IssuedCertificate;
  software: TestSoftware;
  issuer: string;
}

async function newClient(issuer = ukDirectory): Promise<Registered> {
  const software = await directory.software();
  const certificate = await softwareCertificate(server, software);
  const body = {
    software_statement: await software.statement(issuer),
    grant_types: ['client_credentials', 'authorization_code'],
  };
  const answer = await callRegistration(server, { certificate, body });
  expect([answer.status, answer.text.slice(0, 20)]).toEqual([201, answer.text.slice(0, 20)]);
  const token = String(answer.body['registration_access_token']);
  return { id: String(answer.body['client_id']), token, certificate, software, issuer };
}

const manage = (
  { id, token, certificate }: Pick<Registered, 'id' | 'token' | 'certificate'>,
  method: 'GET' | 'PUT' | 'DELETE',
  more: Parameters<typeof callRegistration>[1] = {},
) => callRegistration(server, { method, clientId: id, token, certificate, ...more });

async function update(client: Registered, members: Record<string, unknown> = {}): Promise<Answer> {
  const software_statement = await client.software.statement(client.issuer);
  const body = { client_id: client.id, software_statement, ...members };
  return manage(client, 'PUT', { body });
}

async function accessToken(
  { id, certificate }: Registered,
  { scope, resource, at = server }: { scope: string; resource: string; at?: AuthorizationServer },
): Promise<string> {
  const form = { grant_type: 'client_credentials', client_id: id, scope, resource };
  const answer = await post(at.fetch(certificate), `${server.mtlsOrigin}/token`, { form });
  return String(answer.body['access_token']);
}

describe('Reading a registration', () => {
  it('gives what is registered, with the token that it came with', async () => {
    const client = await newClient();
    const { status, body, headers } = await manage(client, 'GET');
    expect(status).toBe(200);
    expect(headers.get('cache-control')).toBe('no-store');
    expect(body).toMatchObject({
      client_id: client.id,
      registration_access_token: client.token,
      registration_client_uri: `${server.mtlsOrigin}/register/${client.id}`,
      software_id: client.software.id,
      scope: 'openid accounts',
    });
  });

  it('is the same on every process', async () => {
    const { id, token, certificate } = await newClient();
    const call = { method: 'GET', clientId: id, token, certificate };
    expect((await callRegistration(other, call)).status).toBe(200);
  });
});

describe('A registration is managed by nobody', () => {
  it.each<
    [string, (own: Registered, foreign: Registered) => Parameters<typeof callRegistration>[1]]
  >([
    ['without a token', () => ({ token: undefined })],
    ['with another token', () => ({ token: 'x'.repeat(43) })],
    ["with another client's token", (_own, { token }) => ({ token })],
    ['with another certificate', (_own, { certificate }) => ({ certificate })],
    ['without a certificate', () => ({ certificate: undefined })],
    ['as a client that does not exist', () => ({ clientId: 'x'.repeat(22) })],
    ['as a client with a strange name', () => ({ clientId: '%00' })],
    ['as a client of an operator', () => ({ clientId: 'tpp' })],
  ])('%s', async (_name, vary) => {
    const [own, foreign] = [await newClient(), await newClient()];
    const before = await registered(server);
    for (const method of ['GET', 'PUT', 'DELETE'] as const) {
      const body = method === 'PUT' ? { body: { client_id: own.id } } : {};
      const answer = await manage(own, method, { ...body, ...vary(own, foreign) });
      expect([answer.status, answer.body['error']]).toEqual([401, 'invalid_token']);
      expect(answer.headers.get('www-authenticate')).toBe('Bearer error="invalid_token"');
      expect((await auditOf(server, answer))[0]).toMatchObject({
        type: 'client.registration_refused',
        outcome: 'refused',
      });
    }
    expect(await registered(server)).toBe(before);
  });

  it('whose client is suspended', async () => {
    const client = await newClient();
    await server.running.app.clients.setStatus(client.id, 'suspended');
    const answer = await manage(client, 'GET');
    expect(answer.status).toBe(401);
    expect((await auditOf(server, answer))[0]?.detail['reason']).toBe('the client is suspended');
    await server.running.app.clients.setStatus(client.id, 'active');
    expect((await manage(client, 'GET')).status).toBe(200);
  });
});

describe('An update', () => {
  it('replaces everything, and the token stays', async () => {
    const client = await newClient();
    const redirect_uris = [`${client.software.redirectUri}/other`];
    const answer = await update(client, { redirect_uris, tos_uri: 'https://tpp.example.com/tos' });
    expect(answer).toMatchObject({
      status: 200,
      body: {
        redirect_uris,
        grant_types: ['authorization_code'],
        tos_uri: 'https://tpp.example.com/tos',
        registration_access_token: client.token,
      },
    });
    const [event] = await auditOf(server, answer);
    expect(event).toMatchObject({ type: 'client.updated', client_id: client.id });
    const again = await update(client, { redirect_uris });
    expect(again.body).not.toHaveProperty('tos_uri');
    expect((await manage(client, 'GET')).body).toMatchObject({ redirect_uris });
  });

  it('takes effect at once on every process', async () => {
    const client = await newClient();
    const scopeAt = { scope: 'accounts', resource: accountsApi };
    expect(await accessToken(client, scopeAt)).toMatch(/^eyJ/);
    expect(await accessToken(client, { ...scopeAt, at: other })).toMatch(/^eyJ/);
    expect((await update(client)).status).toBe(200); // no client credentials any more
    expect(await accessToken(client, scopeAt)).toBe('undefined');
    await expect.poll(() => accessToken(client, { ...scopeAt, at: other })).toBe('undefined');
  });

  it.each<[string, Record<string, unknown>, string]>([
    ['of another client', { client_id: 'tpp' }, 'invalid_client_metadata'],
    ['of no client', { client_id: undefined }, 'invalid_client_metadata'],
    ['with a secret', { client_secret: 'x' }, 'invalid_client_metadata'],
    ['with a token', { registration_access_token: 'x' }, 'invalid_client_metadata'],
    ['with an address', { registration_client_uri: 'x' }, 'invalid_client_metadata'],
    ['with a time', { client_id_issued_at: 1 }, 'invalid_client_metadata'],
    ['without a statement', { software_statement: undefined }, 'invalid_software_statement'],
    ['to a foreign URI', { redirect_uris: ['https://evil.example.com'] }, 'invalid_redirect_uri'],
    ['to more', { scope: 'admin' }, 'invalid_client_metadata'],
  ])('is refused %s', async (_name, members, error) => {
    const client = await newClient();
    const before = await registered(server);
    const answer = await update(client, members);
    expect([answer.status, answer.body['error']]).toEqual([400, error]);
    expect(await registered(server)).toBe(before);
  });

  it('never turns the client into another software, or moves it to another directory', async () => {
    const [client, foreign] = [await newClient(), await directory.software()];
    const before = await registered(server);
    const statements = [
      await foreign.statement(client.issuer),
      await client.software.statement(strictDirectory, {
        claims: { aud: 'the bank', org_status: 'Active' },
      }),
    ];
    for (const software_statement of statements) {
      const answer = await update(client, { software_statement });
      expect([answer.status, answer.body['error']]).toEqual([400, 'unapproved_software_statement']);
    }
    expect(await registered(server)).toBe(before);
  });
});

describe('An access token of the client itself', () => {
  const managed = 'https://managed.example.com';
  const right = { scope: 'registration', resource: managementApi };

  it('manages its registration', async () => {
    const client = await newClient(managed);
    const token = await accessToken(client, right);
    const read = await manage({ ...client, token }, 'GET');
    expect(read.status).toBe(200);
    expect(read.body).not.toHaveProperty('registration_access_token');
    expect((await update({ ...client, token }, { scope: 'registration' })).status).toBe(200);
    expect((await manage({ ...client, token }, 'DELETE')).status).toBe(204);
    expect((await manage({ ...client, token }, 'GET')).status).toBe(401);
  });

  it.each([
    ['another scope', { scope: 'other', resource: managementApi }, /no scope registration/],
    ['another API', { scope: 'accounts', resource: accountsApi }, /not for https:\/\/management/],
  ])('does not with %s', async (_name, access, reason) => {
    const client = await newClient(managed);
    const token = await accessToken(client, access);
    const answer = await manage({ ...client, token }, 'GET');
    expect(answer.status).toBe(401);
    expect(String((await auditOf(server, answer))[0]?.detail['reason'])).toMatch(reason);
  });

  it("does not with another certificate, when revoked, or for somebody else's", async () => {
    const [client, foreign] = [await newClient(managed), await newClient(managed)];
    const token = await accessToken(client, right);
    const renewed = await softwareCertificate(server, client.software);
    expect((await manage({ ...client, token, certificate: renewed }, 'GET')).status).toBe(401);
    expect((await manage({ ...client, token, id: foreign.id }, 'GET')).status).toBe(401);
    expect((await manage({ ...client, token }, 'GET')).status).toBe(200);
    const form = { client_id: client.id, token };
    await post(server.fetch(client.certificate), `${server.mtlsOrigin}/revoke`, { form });
    expect((await manage({ ...client, token }, 'GET')).status).toBe(401);
  });
});

describe('A deleted registration', () => {
  it('ends what customers allowed it: codes, grants and refresh tokens', async () => {
    const software = await directory.software();
    const certificate = await softwareCertificate(server, software);
    const grant_types = ['authorization_code', 'refresh_token'];
    const software_statement = await software.statement();
    const { body } = await callRegistration(server, {
      certificate,
      body: { software_statement, grant_types },
    });
    const id = String(body['client_id']);
    const authentication = openid.TlsClientAuth();
    const configuration = await discover(server, { id, authentication, certificate });
    const parameters = { redirect_uri: software.redirectUri, scope: 'openid accounts' };
    const tokens = await obtainTokens(server, configuration, { parameters });
    const refresh = () => openid.refreshTokenGrant(configuration, tokens.refresh_token ?? '');
    const { access_token } = await refresh();
    const ofClient = 'SELECT kind FROM artifacts WHERE client_id = $1';
    expect(await rows(server, ofClient, [id])).not.toEqual([]);

    const token = String(body['registration_access_token']);
    expect((await manage({ id, token, certificate }, 'DELETE')).status).toBe(204);
    expect(await rows(server, ofClient, [id])).toEqual([]);
    expect((await introspect(server, access_token)).body).toEqual({ active: false });
    await expect(refresh()).rejects.toMatchObject({ error: 'invalid_client' });
  });

  it('leaves nothing that works, on any process, and makes room for the software again', async () => {
    const client = await newClient();
    const token = await accessToken(client, { scope: 'accounts', resource: accountsApi });
    expect((await introspect(server, token, { at: other })).body).toMatchObject({ active: true });
    const deleted = await manage(client, 'DELETE');
    expect(deleted.status).toBe(204);
    expect((await auditOf(server, deleted))[0]).toMatchObject({
      type: 'client.deleted',
      client_id: client.id,
    });
    expect((await introspect(server, token)).body).toEqual({ active: false });
    await expect
      .poll(async () => (await introspect(server, token, { at: other })).body)
      .toEqual({ active: false });
    for (const method of ['GET', 'PUT', 'DELETE'] as const) {
      expect((await manage(client, method)).status).toBe(401);
    }
    const software_statement = await client.software.statement();
    const again = await callRegistration(server, {
      certificate: client.certificate,
      body: { software_statement },
    });
    expect(again.status).toBe(201);
    expect(again.body['client_id']).not.toBe(client.id);
  });
});
