import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { clientCertificate } from '../support/certificates.ts';
import { commandLineBeside } from '../support/command-line.ts';
import type { CommandLine, CommandResult } from '../support/command-line.ts';
import { basic, databaseText, post } from '../support/protocol.ts';
import { accountsApi, startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';

let server: AuthorizationServer;
let cli: CommandLine;

beforeAll(async () => {
  server = await startAuthorizationServer();
  cli = await commandLineBeside(server);
});

afterAll(async () => {
  await cli.remove();
  await server.stop();
});

const machine = { grant_type: 'client_credentials', scope: 'accounts' };
const forMachines = ['--grant-type', 'client_credentials'];

/** Registers a client with a secret for client credentials; gives back the secret. */
async function createMachine(id: string): Promise<string> {
  const created = await done(['clients', 'create', '--id', id, ...forMachines, '--json']);
  await done(['clients', 'allow', id, '--resource', accountsApi, '--scope', 'accounts']);
  return String(created.json()['clientSecret']);
}

async function done(words: readonly string[], input?: string): Promise<CommandResult> {
  const result = await cli.run(words, input);
  expect(result).toMatchObject({ exitCode: 0, errors: '' });
  return result;
}

async function tokenStatus(id: string, secret: string): Promise<number> {
  const url = `${server.issuer}/token`;
  return (await post(server.fetch(), url, { form: machine, headers: basic(id, secret) })).status;
}

describe('A client that an operator registers', () => {
  it('gets a token at the running server, and none within two seconds of being suspended', async () => {
    const secret = await createMachine('machine-1');
    expect(await tokenStatus('machine-1', secret)).toBe(200);

    await done(['clients', 'suspend', 'machine-1']);
    await expect.poll(() => tokenStatus('machine-1', secret), { timeout: 2000 }).toBe(401);
    await done(['clients', 'resume', 'machine-1']);
    await expect.poll(() => tokenStatus('machine-1', secret), { timeout: 2000 }).toBe(200);
  });

  it('has one secret at a time', async () => {
    const old = await createMachine('machine-2');
    const rotated = await done(['clients', 'rotate-secret', 'machine-2', '--json']);
    const fresh = String(rotated.json()['clientSecret']);
    expect(fresh).not.toBe(old);
    await expect.poll(() => tokenStatus('machine-2', old), { timeout: 2000 }).toBe(401);
    expect(await tokenStatus('machine-2', fresh)).toBe(200);
  });

  it('may request what it is allowed, until that is taken away', async () => {
    const secret = await createMachine('machine-3');
    expect(await tokenStatus('machine-3', secret)).toBe(200);
    await done(['clients', 'allow', 'machine-3', '--resource', accountsApi, '--nothing']);
    await expect.poll(() => tokenStatus('machine-3', secret), { timeout: 2000 }).toBe(400);
  });

  it('is gone after it was deleted', async () => {
    const secret = await createMachine('machine-4');
    const { json } = await done(['clients', 'delete', 'machine-4', '--json']);
    expect(json()).toEqual({ deleted: 'machine-4' });
    await expect.poll(() => tokenStatus('machine-4', secret), { timeout: 2000 }).toBe(401);
    expect(await cli.run(['clients', 'show', 'machine-4'])).toEqual({
      exitCode: 1,
      output: '',
      errors: 'There is no such client: machine-4.\n',
      json: expect.any(Function) as unknown,
    });
  });

  it('is told of as one that may request nothing yet', async () => {
    const { output } = await done(['clients', 'create', '--id', 'machine-6', ...forMachines]);
    expect(output).toMatch(
      /^The client machine-6 is registered\.\nIt may request nothing yet: clients allow machine-6 /,
    );
    expect(output).toMatch(/\n[\w-]{43}\n$/);
  });

  it('may take part without any grant, to introspect', async () => {
    const words = ['clients', 'create', '--id', 'api-1', '--no-grant-types'];
    const { output } = await done(words);
    expect(output).not.toContain('may request');
    const shown = await done(['clients', 'show', 'api-1', '--json']);
    expect(shown.json()['client']).toMatchObject({
      hasSecret: true,
      metadata: { grant_types: [], response_types: [] },
    });
    const secret = /^[\w-]{43}$/m.exec(output)?.[0] ?? 'none';
    expect(await tokenStatus('api-1', secret)).toBe(400);
  });

  it('is allowed scopes in either way of writing them', async () => {
    await createMachine('machine-7');
    const allow = ['clients', 'allow', 'machine-7', '--json', '--resource', accountsApi];
    for (const scopes of [
      ['--scope', 'accounts', 'payments'],
      ['--scope', 'accounts', '--scope', 'payments'],
    ]) {
      const { json } = await done([...allow, ...scopes]);
      expect(json()['client']).toMatchObject({
        permissions: { [accountsApi]: ['accounts', 'payments'] },
      });
    }
  });

  it('may prove itself by a certificate', async () => {
    const subject = 'CN=machine-5,O=Example,C=GB';
    const words = ['clients', 'create', '--id', 'machine-5', '--auth-method', 'tls_client_auth'];
    const created = await done([...words, '--subject-dn', subject, ...forMachines, '--json']);
    expect(created.json()).not.toHaveProperty('clientSecret');
    await done(['clients', 'allow', 'machine-5', '--resource', accountsApi, '--scope', 'accounts']);
    const certificate = await clientCertificate(server.certificates.authority, { subject });
    const form = { ...machine, client_id: 'machine-5' };
    const { status } = await post(server.fetch(certificate), `${server.mtlsOrigin}/token`, {
      form,
    });
    expect(status).toBe(200);
  });
});

describe('Client metadata', () => {
  const metadata = {
    client_id: 'from-file',
    client_name: 'From a file',
    redirect_uris: ['https://file.example.com/callback'],
    token_endpoint_auth_method: 'none',
  };

  it('comes from a file or the standard input, and an option wins over it', async () => {
    const file = path.join(cli.environment['HOME'] ?? '', 'client.json');
    await writeFile(file, JSON.stringify(metadata));
    const fromFile = await done(['clients', 'create', '--metadata', file, '--json']);
    expect(fromFile.json()['client']).toMatchObject({ id: 'from-file', name: 'From a file' });

    const words = ['clients', 'create', '--metadata', '-', '--id', 'from-input', '--name', 'Mine'];
    const fromInput = await done([...words, '--json'], JSON.stringify(metadata));
    expect(fromInput.json()['client']).toEqual({
      id: 'from-input',
      name: 'Mine',
      status: 'active',
      source: 'operator',
      hasSecret: false,
      permissions: {},
      metadata: {
        client_id: 'from-input',
        client_name: 'Mine',
        redirect_uris: ['https://file.example.com/callback'],
        grant_types: ['authorization_code'],
        response_types: ['code'],
        token_endpoint_auth_method: 'none',
      },
    });
  });

  it('changes where an update names it, and what the change makes wrong goes', async () => {
    const id = 'changing';
    const redirect = ['--redirect-uri', 'https://changing.example.com/callback'];
    const certificate = ['--auth-method', 'tls_client_auth', '--san-dns', 'changing.example.com'];
    await done(['clients', 'create', '--id', id, ...redirect, ...certificate]);
    const renamed = await done(['clients', 'update', id, '--name', 'New name', '--json']);
    expect(renamed.json()['client']).toMatchObject({
      name: 'New name',
      metadata: { tls_client_auth_san_dns: 'changing.example.com' },
    });
    const method = ['--auth-method', 'client_secret_post'];
    const changed = (await done(['clients', 'update', id, ...method, '--json'])).json();
    expect(changed['clientSecret']).toMatch(/^[\w-]{43}$/);
    expect(changed['client']).toMatchObject({
      name: 'New name',
      hasSecret: true,
      metadata: { redirect_uris: ['https://changing.example.com/callback'] },
    });
    expect(JSON.stringify(changed['client'])).not.toMatch(/tls_client/);
    const publicClient = await done(['clients', 'update', id, '--auth-method', 'none', '--json']);
    expect(publicClient.json()['client']).toMatchObject({ hasSecret: false });
  });

  it.each([
    [['--redirect-uri', 'http://plain.example.com/'], 'is not https'],
    [['--metadata', '-'], 'holds no JSON object', 2],
    [['--metadata', 'missing.json'], "can't be read", 2],
    [['--auth-method', 'tls_client_auth', ...forMachines], 'exactly one tls_client_auth_'],
    [['--auth-method', 'guess'], 'Allowed choices are', 2],
    [['--id', 'web', '--redirect-uri', 'https://a.example.com/'], 'already a client'],
    [['--id', 'a b', '--redirect-uri', 'https://a.example.com/'], 'client_id'],
  ])('is refused when it is wrong: %j', async (words, reason, exitCode = 1) => {
    const result = await cli.run(['clients', 'create', ...words, '--json'], 'no json');
    expect(result).toMatchObject({ exitCode, output: '' });
    expect(result.errors).toContain(reason);
  });

  it.each([
    [['update', 'web', '--name', 'x'], 'change it there'],
    [['rotate-secret', 'web'], 'change it there'],
    [['delete', 'web'], 'take it out there'],
  ])('of a client in the static file is changed there: %j', async (words, remedy) => {
    const result = await cli.run(['clients', ...words]);
    expect(result).toMatchObject({ exitCode: 1, output: '' });
    expect(result.errors).toBe(
      `The client is not valid: web is declared in the static configuration: ${remedy}.\n`,
    );
  });

  it('never grants a scope that does not exist', async () => {
    await done(['clients', 'create', '--id', 'eager', ...forMachines]);
    const allow = ['clients', 'allow', 'eager', '--resource'];
    const unknownScope = await cli.run([...allow, accountsApi, '--scope', 'accounts', 'all']);
    expect(unknownScope.exitCode).toBe(1);
    expect(unknownScope.errors).toContain('has no scope all, only accounts, admin, payments');
    const unknownApi = await cli.run([...allow, 'https://nobody.example.com', '--scope', 'a']);
    expect(unknownApi).toMatchObject({ exitCode: 1, output: '' });
    expect(await cli.run([...allow, accountsApi])).toMatchObject({ exitCode: 2, output: '' });
  });
});

describe('A client secret', () => {
  it('is shown once: not by list, show, the audit trail, the log or the database', async () => {
    const created = await createMachine('discreet');
    const rotated = await done(['clients', 'rotate-secret', 'discreet']);
    const fresh = /^[\w-]{43}$/m.exec(rotated.output)?.[0] ?? 'none';
    expect(await tokenStatus('discreet', fresh)).toBe(200);
    const shown = await Promise.all([
      cli.run(['clients', 'list', '--json']),
      cli.run(['clients', 'show', 'discreet']),
      cli.run(['audit', 'list', '--client', 'discreet', '--json']),
    ]);
    const chatty = await cli.run(['clients', 'resume', 'discreet']);
    const texts = [...shown, chatty].map(({ output, errors }) => output + errors);
    texts.push(await server.log.raw(), await databaseText(server));
    for (const text of texts) {
      expect(text).not.toContain(created);
      expect(text).not.toContain(fresh);
    }
    expect(texts[2]).toContain('client.created');
  });
});

describe('Every change of a client', () => {
  it('is in the audit trail, with the operator', async () => {
    await createMachine('audited');
    for (const verb of ['suspend', 'resume', 'rotate-secret', 'delete']) {
      await done(['clients', verb, 'audited']);
    }
    const { json } = await done(['audit', 'list', '--client', 'audited', '--json']);
    const events = json()['events'] as Record<string, unknown>[];
    expect(events.map(({ type, detail }) => [type, detail])).toEqual([
      ['client.deleted', {}],
      ['client.updated', { change: 'secret' }],
      ['client.updated', { change: 'status', status: 'active' }],
      ['client.updated', { change: 'status', status: 'suspended' }],
      ['client.updated', { change: 'permissions', resource: accountsApi, scopes: ['accounts'] }],
      ['client.created', {}],
    ]);
    for (const event of events) {
      expect(event).toMatchObject({ outcome: 'success', actorType: 'operator' });
      expect(event['actorId']).toMatch(/\S/);
    }
  });
});

describe('The list of clients', () => {
  it('is JSON of a stable shape, or a table', async () => {
    const { json } = await done(['clients', 'list', '--json']);
    const clients = json()['clients'] as { id: string }[];
    expect(clients.find(({ id }) => id === 'web')).toMatchObject({
      name: 'Example Web',
      status: 'active',
      source: 'file',
      hasSecret: true,
    });
    const { output } = await done(['clients', 'list']);
    expect(output).toMatch(/^ID +NAME +STATUS +AUTHENTICATION +SOURCE\n/);
    expect(output).toMatch(/^web +Example Web +active +client_secret_basic +file$/m);
  });
});
