import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { clientCertificate } from '../support/certificates.ts';
import { commandLineBeside } from '../support/command-line.ts';
import type { CommandLine } from '../support/command-line.ts';
import { testKey } from '../support/directory.ts';
import { auditOf, databaseText, post } from '../support/protocol.ts';
import type { Answer } from '../support/protocol.ts';
import { callRegistration, registered } from '../support/registering.ts';
import { accountsApi, startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

/** By how much the server's clock is ahead. */
let aheadMs = 0;
let server: AuthorizationServer;
let other: AuthorizationServer;
let cli: CommandLine;

const environment = { COUNTERSIGN_INITIAL_ACCESS_TOKENS: 'true' };

beforeAll(async () => {
  server = await startAuthorizationServer({
    environment,
    clock: { now: () => new Date(Date.now() + aheadMs) },
  });
  other = await startAuthorizationServer({ environment, beside: server });
  cli = await commandLineBeside(server);
});

afterAll(async () => {
  await cli.remove();
  await other.stop();
  await server.stop();
});

async function issue(...words: string[]): Promise<string> {
  const command = ['clients', 'initial-access-token', '--resource', accountsApi];
  const scope = ['--scope', 'accounts', 'payments', '--profile', 'baseline'];
  const result = await cli.run([...command, ...scope, ...words, '--json']);
  expect(result).toMatchObject({ exitCode: 0, errors: '' });
  return String(result.json()['initialAccessToken']);
}

const subject = 'CN=newcomer,O=Newcomer,C=GB';
const body = { grant_types: ['client_credentials'], client_name: 'Newcomer' };

async function register(
  token: string,
  members: Record<string, unknown> = {},
  at = server,
): Promise<Answer> {
  const certificate = await clientCertificate(server.certificates.authority, { subject });
  return callRegistration(at, { certificate, token, body: { ...body, ...members } });
}

describe('An initial access token', () => {
  it('registers one client, with the permissions and profile that the operator chose', async () => {
    const token = await issue();
    const answer = await register(token, { security_profile: 'fapi2', scope: 'accounts admin' });
    expect(answer.status).toBe(201);
    expect(answer.body).toMatchObject({ scope: 'openid accounts', security_profile: 'baseline' });
    const id = String(answer.body['client_id']);
    expect((await auditOf(server, answer))[0]).toMatchObject({
      type: 'client.created',
      client_id: id,
    });
    const { metadata } = (await server.running.app.clients.find(id)) ?? {};
    expect(metadata?.['scope']).toBe('openid offline_access'); // nothing about who the customer is
    const certificate = await clientCertificate(server.certificates.authority, { subject });
    const form = { grant_type: 'client_credentials', client_id: id, scope: 'accounts' };
    const url = `${server.mtlsOrigin}/token`;
    expect((await post(server.fetch(certificate), url, { form })).status).toBe(200);

    const again = await register(token);
    expect([again.status, again.body['error']]).toEqual([401, 'invalid_token']);
    expect(String((await auditOf(server, again))[0]?.detail['reason'])).toMatch(/used/);
  });

  it('is not used up by a registration that is refused', async () => {
    const token = await issue();
    const before = await registered(server);
    const refused = await register(token, { redirect_uris: ['http://tpp.example.com/'] });
    expect([refused.status, refused.body['error']]).toEqual([400, 'invalid_redirect_uri']);
    expect(await registered(server)).toBe(before);
    expect((await register(token)).status).toBe(201);
  });

  it('works once, however many use it at once on two processes', async () => {
    const token = await issue();
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_none, index) =>
        register(token, {}, index % 2 === 0 ? server : other),
      ),
    );
    const statuses = answers.map(({ status }) => status).toSorted();
    expect(statuses).toEqual([201, ...Array.from({ length: 19 }, () => 401)]);
  });

  it('stays used when its client is deleted', async () => {
    const token = await issue();
    const { body: told } = await register(token);
    await server.running.app.clients.delete(String(told['client_id']));
    expect((await register(token)).status).toBe(401);
  });

  it('ends when its time is over', async () => {
    const token = await issue('--expires-in', '60');
    aheadMs = 120_000;
    const late = await register(token);
    aheadMs = 0;
    expect([late.status, late.body['error']]).toEqual([401, 'invalid_token']);
    expect((await register(token)).status).toBe(201);
  });

  it('is no help to who has no certificate, or sends a statement as well', async () => {
    const token = await issue();
    const bare = await callRegistration(server, { token, body });
    expect([bare.status, bare.body['error']]).toEqual([401, 'invalid_token']);
    const both = await register(token, { software_statement: 'a.b.c' });
    expect([both.status, both.body['error']]).toEqual([400, 'unapproved_software_statement']);
    expect((await register(token)).status).toBe(201);
  });

  it('lets keys be sent by value', async () => {
    const { publicJwk } = await testKey('mine');
    const jwks = { keys: [publicJwk] };
    const answer = await register(await issue(), {
      jwks,
      token_endpoint_auth_method: 'private_key_jwt',
    });
    expect(answer).toMatchObject({
      status: 201,
      body: { jwks, tls_client_certificate_bound_access_tokens: true },
    });
  });

  it('is shown once and nowhere else', async () => {
    const token = await issue();
    expect(await databaseText(server)).not.toContain(token);
    expect(await server.log.raw()).not.toContain(token);
  });

  it('is never issued for a scope or an API that does not exist', async () => {
    const words = ['clients', 'initial-access-token', '--resource'];
    const unknown = await cli.run([...words, accountsApi, '--scope', 'everything']);
    expect(unknown).toMatchObject({ exitCode: 1, output: '' });
    expect(unknown.errors).toContain('has no scope everything');
    const nowhere = await cli.run([...words, 'https://nobody.example.com', '--scope', 'a']);
    expect(nowhere).toMatchObject({ exitCode: 1, output: '' });
  });
});

describe('A client that came by one', () => {
  it('updates itself without a statement, and never to more than it has', async () => {
    const { body: told } = await register(await issue(), { scope: 'accounts' });
    const clientId = String(told['client_id']);
    const token = String(told['registration_access_token']);
    const certificate = await clientCertificate(server.certificates.authority, { subject });
    const put = (members: Record<string, unknown>) =>
      callRegistration(server, {
        ...{ method: 'PUT', clientId, token, certificate },
        body: { client_id: clientId, grant_types: ['client_credentials'], ...members },
      });
    expect((await put({ client_name: 'Renamed' })).body).toMatchObject({
      client_name: 'Renamed',
      scope: 'openid accounts',
      security_profile: 'baseline',
    });
    const more = await put({ scope: 'payments', security_profile: 'fapi2' });
    expect([more.status, more.body['error']]).toEqual([400, 'invalid_client_metadata']);
  });

  it('is listed, suspended and deleted by operators as any other', async () => {
    const { body: told } = await register(await issue());
    const id = String(told['client_id']);
    const shown = await cli.run(['clients', 'show', id, '--json']);
    expect(shown.json()['client']).toMatchObject({ id, source: 'registration' });
    expect((await cli.run(['clients', 'suspend', id])).exitCode).toBe(0);
    expect((await cli.run(['clients', 'delete', id])).exitCode).toBe(0);
    expect((await cli.run(['clients', 'show', id])).exitCode).toBe(1);
  });
});

describe('Registration without a token', () => {
  it('is refused where only tokens are accepted', async () => {
    const certificate = await clientCertificate(server.certificates.authority, { subject });
    const answer = await callRegistration(server, { certificate, body });
    expect([answer.status, answer.body['error']]).toEqual([401, 'invalid_token']);
    expect(answer.headers.get('www-authenticate')).toBe('Bearer error="invalid_token"');
  });
});
