import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseClientMetadata } from '../../src/clients/client-metadata.ts';
import type { IssuedCertificate } from '../../src/development/certificate-authority.ts';
import { clientCertificate } from '../support/certificates.ts';
import {
  softwareCertificate,
  strictDirectory,
  testDirectory,
  testKey,
  ukDirectory,
} from '../support/directory.ts';
import type { TestDirectory, TestSoftware } from '../support/directory.ts';
import { auditOf, post, rows, send } from '../support/protocol.ts';
import type { Answer } from '../support/protocol.ts';
import { callRegistration } from '../support/registering.ts';
import { accountsApi, startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { introspect } from '../support/tokens.ts';

let directory: TestDirectory;
let server: AuthorizationServer;

beforeAll(async () => {
  directory = await testDirectory();
  server = await startAuthorizationServer({ environment: directory.environment });
});

afterAll(async () => {
  await server.stop();
  await directory.close();
});

const allGrants = ['authorization_code', 'refresh_token', 'client_credentials'];

async function newcomer(): Promise<{ software: TestSoftware; certificate: IssuedCertificate }> {
  const software = await directory.software();
  return { software, certificate: await softwareCertificate(server, software) };
}

async function register(members: Record<string, unknown> = {}, issuer = ukDirectory) {
  const { software, certificate } = await newcomer();
  const software_statement = await software.statement(issuer);
  const body = { grant_types: allGrants, software_statement, ...members };
  const answer = await callRegistration(server, { certificate, body });
  expect([answer.status, answer.body['error_description']]).toEqual([201, undefined]);
  return {
    software,
    certificate,
    answer,
    software_statement,
    id: String(answer.body['client_id']),
  };
}

function tokenFor(id: string, certificate: IssuedCertificate, scope = 'accounts'): Promise<Answer> {
  const form = { grant_type: 'client_credentials', client_id: id, scope };
  return post(server.fetch(certificate), `${server.mtlsOrigin}/token`, { form });
}

describe('A third party with a software statement', () => {
  it('can not undo a stricter profile that an operator demands', async () => {
    const { software, certificate, answer, id } = await register();
    const { clients } = server.running.app;
    const { metadata } = (await clients.find(id)) ?? {};
    await clients.setMetadata(parseClientMetadata({ ...metadata, security_profile: 'fapi2' }));
    const updated = await callRegistration(server, {
      ...{ method: 'PUT', clientId: id, certificate },
      token: String(answer.body['registration_access_token']),
      body: { client_id: id, software_statement: await software.statement() },
    });
    expect(updated).toMatchObject({ status: 200, body: { security_profile: 'fapi2' } });
  });

  it('may name a sector whose document has its redirect URIs', async () => {
    const sector = {
      subject_type: 'pairwise',
      sector_identifier_uri: `${directory.origin}/sector`,
    };
    const { software, certificate } = await newcomer();
    directory.documents.set('/sector', ['https://other.example.com/', software.redirectUri]);
    const body = {
      software_statement: await software.statement(),
      redirect_uris: [software.redirectUri],
      ...sector,
    };
    const answer = await callRegistration(server, { certificate, body });
    expect(answer).toMatchObject({ status: 201, body: sector });
  });

  it('registers, and gets a token that is bound to its certificate', async () => {
    const { software, certificate, answer, software_statement, id } = await register();
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(answer.headers.get('content-type')).toMatch(/^application\/json/);
    expect(answer.body).toEqual({
      client_id: expect.stringMatching(/^client-[\w-]{22}$/) as unknown,
      client_id_issued_at: expect.any(Number) as unknown,
      client_name: `Software ${software.id}`,
      grant_types: allGrants,
      jwks_uri: software.jwksUri,
      redirect_uris: [software.redirectUri, `${software.redirectUri}/other`],
      registration_access_token: expect.stringMatching(/^[\w-]{43}$/) as unknown,
      registration_client_uri: `${server.mtlsOrigin}/register/${id}`,
      response_types: ['code'],
      scope: 'openid accounts',
      security_profile: 'baseline',
      software_id: software.id,
      software_statement,
      tls_client_auth_subject_dn: expect.stringContaining(`UID=${software.id}`) as unknown,
      tls_client_certificate_bound_access_tokens: true,
      token_endpoint_auth_method: 'tls_client_auth',
    });

    const token = await tokenFor(id, certificate);
    expect(token.status).toBe(200);
    const claims = decodeJwt(String(token.body['access_token']));
    expect(claims).toMatchObject({ client_id: id, aud: accountsApi, scope: 'accounts' });
    expect(claims['cnf']).toEqual({ 'x5t#S256': expect.any(String) as unknown });
  });

  it('is found in the audit trail with its directory, software and organisation', async () => {
    const { software, answer, id } = await register();
    expect(await auditOf(server, answer)).toEqual([
      expect.objectContaining({
        type: 'client.created',
        outcome: 'success',
        client_id: id,
        detail: {
          by: 'registration',
          directory: ukDirectory,
          softwareId: software.id,
          organisationId: 'org-1',
          certificate: expect.stringContaining(software.id) as unknown,
        },
      }),
    ]);
  });

  it('may be of a strict directory, with keys by value, and gets its profile', async () => {
    const key = await testKey('tpp-key');
    const claims = { aud: 'the bank', org_status: 'Active' };
    const { software, certificate } = await newcomer();
    const software_statement = await software.statement(strictDirectory, {
      claims: { ...claims, software_jwks_uri: undefined },
    });
    const jwks = { keys: [key.publicJwk] };
    const body = { software_statement, jwks, token_endpoint_auth_method: 'private_key_jwt' };
    const { status, body: told } = await callRegistration(server, { certificate, body });
    expect({ status, told }).toMatchObject({
      status: 201,
      told: { security_profile: 'fapi2', jwks, require_pushed_authorization_requests: true },
    });
  });

  it('gets of what it asks only what its roles permit, and no member that raises its privileges', async () => {
    const { answer, id, certificate } = await register({
      scope: 'openid accounts payments admin',
      client_id: 'mine',
      client_secret: 'mine',
      security_profile: 'fapi2',
      permissions: { [accountsApi]: ['admin'] },
      source: 'operator',
      status: 'active',
      client_name: 'Your Bank',
      application_type: 'native',
      registration_access_token: 'mine',
      favourite_colour: 'green',
    });
    const { body } = answer;
    expect(body).toMatchObject({ scope: 'openid accounts', security_profile: 'baseline' });
    expect(body['client_id']).not.toBe('mine');
    for (const member of ['client_secret', 'permissions', 'favourite_colour', 'source', 'status']) {
      expect(body).not.toHaveProperty(member);
    }
    const [row] = await rows(
      server,
      'SELECT c::text AS text, source FROM clients c WHERE id = $1',
      [id],
    );
    expect(row).toMatchObject({ source: 'registration' });
    expect(String(row?.['text'])).not.toMatch(/green|admin|Your Bank|native|mine/);
    expect((await tokenFor(id, certificate, 'payments')).body['error']).toBe('invalid_scope');
    expect((await tokenFor(id, certificate, 'accounts')).status).toBe(200);
  });

  it('has the name that its directory gives it, or none: never one that it chose', async () => {
    const { software, certificate } = await newcomer();
    const claims = { software_client_name: undefined };
    const software_statement = await software.statement(ukDirectory, { claims });
    const body = { software_statement, client_name: 'Your Bank' };
    const answer = await callRegistration(server, { certificate, body });
    expect(answer.status).toBe(201);
    expect(answer.body).not.toHaveProperty('client_name');
  });

  it('keeps its token digest-only: no secret of it is in the database', async () => {
    const { answer, id } = await register();
    const found = await rows(server, 'SELECT r::text AS text FROM client_registrations r');
    expect(JSON.stringify(found)).toContain(id);
    expect(JSON.stringify(found)).not.toContain(answer.body['registration_access_token']);
  });

  it('goes on with a renewed certificate of the same subject', async () => {
    const { id, software, answer } = await register();
    const renewed = await softwareCertificate(server, software);
    expect((await tokenFor(id, renewed)).status).toBe(200);
    const token = String(answer.body['registration_access_token']);
    const read = await callRegistration(server, {
      ...{ method: 'GET', clientId: id, token, certificate: renewed },
    });
    expect(read.status).toBe(200);
  });
});

describe('The directory of a statement', () => {
  it('is asked for its keys once, and again when a key is new', async () => {
    const asked = () => directory.requests.filter((path) => path === '/keys').length;
    await register();
    const before = asked();
    await register();
    await register();
    expect(asked()).toBe(before);
  });
});

describe('The endpoint', () => {
  it('is in discovery, on the mTLS host', async () => {
    const found = await send(server.fetch(), `${server.issuer}/.well-known/openid-configuration`);
    const endpoint = `${server.mtlsOrigin}/register`;
    expect(found.body).toMatchObject({
      registration_endpoint: endpoint,
      mtls_endpoint_aliases: { registration_endpoint: endpoint },
    });
  });

  it('is not there for browsers, nor under almost its name', async () => {
    const { certificate } = await newcomer();
    const on = (url: string) => send(server.fetch(certificate), url, { method: 'POST' });
    expect((await on(`${server.issuer}/register`)).status).toBe(404);
    expect((await on(`${server.issuer}/register/x`)).status).toBe(404);
    expect((await on(`${server.mtlsOrigin}/register/`)).status).toBe(404);
    expect((await on(`${server.mtlsOrigin}/REGISTER`)).status).toBe(404);
    expect((await on(`${server.mtlsOrigin}/Register/x`)).status).toBe(404);
  });

  it('names its methods', async () => {
    const { certificate } = await newcomer();
    const got = await callRegistration(server, { method: 'GET', certificate });
    expect([got.status, got.headers.get('allow')]).toEqual([405, 'POST']);
    const posted = await callRegistration(server, { clientId: 'x', certificate, body: {} });
    expect([posted.status, posted.headers.get('allow')]).toEqual([405, 'GET, PUT, DELETE']);
  });
});

describe('A server without directories and without initial access tokens', () => {
  it('has no such endpoint and says nothing of it', async () => {
    const closed = await startAuthorizationServer();
    const found = await send(closed.fetch(), `${closed.issuer}/.well-known/openid-configuration`);
    expect(JSON.stringify(found.body)).not.toContain('registration_endpoint');
    const answer = await callRegistration(closed, { certificate: closed.tpp, body: {} });
    expect(answer.status).toBe(404);
    await closed.stop();
  });
});

describe('A client that deletes its registration', () => {
  it('ends every token of its own, JWT or not, at once', async () => {
    const { id, certificate, answer } = await register();
    const access = String((await tokenFor(id, certificate)).body['access_token']);
    expect((await introspect(server, access)).body).toMatchObject({ active: true });
    const token = String(answer.body['registration_access_token']);
    const deleted = await callRegistration(server, {
      ...{ method: 'DELETE', clientId: id, token, certificate },
    });
    expect([deleted.status, deleted.text]).toEqual([204, '']);
    expect((await introspect(server, access)).body).toEqual({ active: false });
    expect((await tokenFor(id, certificate)).body['error']).toBe('invalid_client');
    const read = await callRegistration(server, {
      ...{ method: 'GET', clientId: id, token, certificate },
    });
    expect([read.status, read.body['error']]).toEqual([401, 'invalid_token']);
  });
});

describe('The certificate of a registration', () => {
  it('may be named by another name of it', async () => {
    const software = await directory.software();
    const sanDns = ['tpp.example.com'];
    const certificate = await clientCertificate(server.certificates.authority, {
      subject: software.subject,
      sanDns,
    });
    const body = {
      grant_types: ['client_credentials'],
      software_statement: await software.statement(),
      token_endpoint_auth_method: 'tls_client_auth',
      tls_client_auth_san_dns: 'tpp.example.com',
    };
    const answer = await callRegistration(server, { certificate, body });
    expect(answer.status).toBe(201);
    expect(answer.body).not.toHaveProperty('tls_client_auth_subject_dn');
    expect((await tokenFor(String(answer.body['client_id']), certificate)).status).toBe(200);
  });
});
