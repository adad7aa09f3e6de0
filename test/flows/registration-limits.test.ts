import { decodeJwt } from 'jose';
import * as openid from 'openid-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { IssuedCertificate } from '../../src/development/certificate-authority.ts';
import { commandLineBeside } from '../support/command-line.ts';
import type { CommandLine } from '../support/command-line.ts';
import { createCustomerAgent } from '../support/customer-agent.ts';
import { softwareCertificate, testDirectory, ukDirectory } from '../support/directory.ts';
import type { TestDirectory, TestSoftware } from '../support/directory.ts';
import { obtainTokens } from '../support/journey.ts';
import { authorizationRequest, discover } from '../support/openid.ts';
import { post } from '../support/protocol.ts';
import { callRegistration } from '../support/registering.ts';
import { accountsApi, opaqueApi, startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { introspect } from '../support/tokens.ts';

/** One whose clients may learn who the customer is. */
const knowing = 'https://knowing.example.com';

let directory: TestDirectory;
let server: AuthorizationServer;
let cli: CommandLine;

beforeAll(async () => {
  const usual = {
    keys: { file: 'keys.json' },
    algorithms: ['ES256'],
    maxAgeSeconds: 300,
    certificate: [{ attribute: 'UID', claim: 'software_id' }],
    profile: 'baseline',
  };
  const roles = { AISP: { [accountsApi]: ['accounts'], [opaqueApi]: ['statements'] } };
  directory = await testDirectory([
    { ...usual, issuer: knowing, roles, identityScopes: ['email'] },
  ]);
  server = await startAuthorizationServer({ environment: directory.environment });
  cli = await commandLineBeside(server);
});

afterAll(async () => {
  await cli.remove();
  await server.stop();
  await directory.close();
});

interface Registered {
  id: string;
  token: string;
  certificate: IssuedCertificate;
  software: TestSoftware;
  issuer: string;
  scope: unknown;
}

const grant_types = ['client_credentials', 'authorization_code'];

async function newClient({
  issuer = ukDirectory,
  software_roles = ['AISP', 'PISP'],
} = {}): Promise<Registered> {
  const software = await directory.software();
  const certificate = await softwareCertificate(server, software);
  const software_statement = await software.statement(issuer, { claims: { software_roles } });
  const call = { certificate, body: { software_statement, grant_types } };
  const { status, body } = await callRegistration(server, call);
  expect(status).toBe(201);
  const token = String(body['registration_access_token']);
  const { client_id: id, scope } = body;
  return { id: String(id), token, certificate, software, issuer, scope };
}

/** The scopes after an update with these roles. */
async function update(
  { id, token, certificate, software, issuer }: Registered,
  software_roles: string[],
): Promise<unknown> {
  const software_statement = await software.statement(issuer, { claims: { software_roles } });
  const body = { client_id: id, software_statement, grant_types };
  const call = { method: 'PUT', clientId: id, token, certificate, body };
  const answer = await callRegistration(server, call);
  expect(answer.status).toBe(200);
  return answer.body['scope'];
}

async function allow({ id }: Registered, ...scopes: string[]): Promise<void> {
  const more = scopes.length === 0 ? ['--nothing'] : ['--scope', ...scopes];
  const { exitCode } = await cli.run(['clients', 'allow', id, '--resource', accountsApi, ...more]);
  expect(exitCode).toBe(0);
}

describe('What an operator took from a registered client', () => {
  it('is not given back by an update, however often and by whatever detour', async () => {
    const client = await newClient();
    await allow(client, 'accounts');
    expect(await update(client, ['AISP', 'PISP'])).toBe('openid accounts');
    expect(await update(client, ['AISP'])).toBe('openid accounts');
    expect(await update(client, ['AISP', 'PISP'])).toBe('openid accounts');
    await allow(client, 'accounts', 'payments');
    expect(await update(client, ['AISP', 'PISP'])).toBe('openid accounts payments');
  });

  it('may be everything', async () => {
    const client = await newClient();
    await allow(client);
    expect(await update(client, ['AISP', 'PISP'])).toBe('openid');
  });

  it('is not mixed up with what the directory gives later', async () => {
    const client = await newClient({ software_roles: ['AISP'] });
    expect(await update(client, ['AISP', 'PISP'])).toBe('openid accounts payments');
    expect(await update(client, ['PISP'])).toBe('openid payments');
    expect(await update(client, ['AISP'])).toBe('openid accounts');
  });
});

async function configured({ id, certificate }: Registered): Promise<openid.Configuration> {
  return discover(server, { id, authentication: openid.TlsClientAuth(), certificate });
}

const claims = JSON.stringify({
  id_token: { email: null, acr: null },
  userinfo: { given_name: null, email: { essential: true } },
});

describe('Who the customer is', () => {
  it.each(['profile', 'email', 'phone', 'address'])(
    'is not opened by the scope %s to a client whose directory does not say so',
    async (scope) => {
      const client = await newClient();
      const request = await authorizationRequest(await configured(client), {
        redirect_uri: client.software.redirectUri,
        scope: `openid accounts ${scope}`,
      });
      const callback = await createCustomerAgent(server).authorize(request.url);
      expect(callback.searchParams.get('error')).toBe('invalid_scope');
    },
  );

  it('is not opened by the claims parameter either; what says how they logged in is', async () => {
    const client = await newClient();
    const configuration = await configured(client);
    const parameters = {
      redirect_uri: client.software.redirectUri,
      scope: 'openid accounts',
      claims,
    };
    const { id_token = '', access_token } = await obtainTokens(server, configuration, {
      parameters,
    });
    expect(decodeJwt(id_token)).toHaveProperty('acr');
    expect(decodeJwt(id_token)).not.toHaveProperty('email');
    const sub = server.customer.id;
    expect(await openid.fetchUserInfo(configuration, access_token, sub)).toEqual({ sub });
  });

  it('is opened as far as the directory’s entry says', async () => {
    const client = await newClient({ issuer: knowing });
    expect(client.scope).toBe('openid email statements accounts');
    const configuration = await configured(client);
    const parameters = {
      redirect_uri: client.software.redirectUri,
      scope: 'openid email accounts',
      claims,
    };
    const { id_token = '', access_token } = await obtainTokens(server, configuration, {
      parameters,
    });
    expect(decodeJwt(id_token)).toHaveProperty('email');
    const told = await openid.fetchUserInfo(configuration, access_token, server.customer.id);
    expect(told).toHaveProperty('email');
    expect(told).not.toHaveProperty('given_name');
  });
});

describe('A token whose client has lost a scope', () => {
  async function tokenFor(client: Registered, resource: string, scope: string): Promise<string> {
    const form = { grant_type: 'client_credentials', client_id: client.id, resource, scope };
    const url = `${server.mtlsOrigin}/token`;
    const { body } = await post(server.fetch(client.certificate), url, { form });
    return String(body['access_token']);
  }

  it('has it no longer, and is good for nothing when none is left', async () => {
    const client = await newClient();
    const token = await tokenFor(client, accountsApi, 'accounts payments');
    const about = async () => (await introspect(server, token)).body;
    expect(await about()).toMatchObject({ active: true, scope: 'accounts payments' });
    expect(await update(client, ['AISP'])).toBe('openid accounts');
    expect(await about()).toMatchObject({ active: true, scope: 'accounts' });
    expect(await update(client, ['PISP'])).toBe('openid payments');
    expect(await about()).toMatchObject({ active: true, scope: 'payments' });
    await server.running.app.clients.setPermission(client.id, accountsApi, []);
    expect(await about()).toEqual({ active: false });
  });

  it('also when it is opaque', async () => {
    const client = await newClient({ issuer: knowing, software_roles: ['AISP'] });
    const token = await tokenFor(client, opaqueApi, 'statements');
    const about = async () => (await introspect(server, token, { as: 'opaque-rs' })).body;
    expect(await about()).toMatchObject({ active: true, scope: 'statements' });
    await server.running.app.clients.setPermission(client.id, opaqueApi, []);
    expect(await about()).toEqual({ active: false });
  });

  it('also when a customer allowed it', async () => {
    const client = await newClient();
    const parameters = {
      redirect_uri: client.software.redirectUri,
      scope: 'openid accounts payments',
    };
    const { access_token } = await obtainTokens(server, await configured(client), { parameters });
    await update(client, ['AISP']);
    expect((await introspect(server, access_token)).body['scope']).toBe('openid accounts');
    await update(client, ['PISP']);
    expect((await introspect(server, access_token)).body['scope']).toBe('openid payments');
    await server.running.app.clients.setPermission(client.id, accountsApi, []);
    expect((await introspect(server, access_token)).body).toEqual({ active: false });
  });
});
