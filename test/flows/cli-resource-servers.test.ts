import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commandLineBeside } from '../support/command-line.ts';
import type { CommandLine, CommandResult } from '../support/command-line.ts';
import { basic, post } from '../support/protocol.ts';
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

async function done(words: readonly string[], input?: string): Promise<CommandResult> {
  const result = await cli.run(words, input);
  expect(result).toMatchObject({ exitCode: 0, errors: '' });
  return result;
}

async function create(identifier: string, ...words: string[]): Promise<CommandResult> {
  const scope = ['--scope', 'ledger=See the ledger = all of it'];
  const named = ['resource-servers', 'create', identifier, '--name', 'Ledger', ...scope];
  return done([...named, ...words, '--json']);
}

describe('A resource server that an operator adds', () => {
  it('is what a client gets tokens for, until it is deleted', async () => {
    const identifier = 'https://ledger.example.com';
    const created = await create(identifier, '--ttl', '120');
    expect(created.json()).toEqual({
      resourceServer: {
        identifier,
        name: 'Ledger',
        accessTokenFormat: 'jwt',
        accessTokenTtlSeconds: 120,
        signingAlgorithm: 'RS256',
        introspectionClientId: null,
        source: 'operator',
        scopes: { ledger: { en: 'See the ledger = all of it' } },
      },
    });
    const words = ['clients', 'create', '--id', 'bookkeeper', '--grant-type', 'client_credentials'];
    const { clientSecret } = (await done([...words, '--json'])).json();
    await done(['clients', 'allow', 'bookkeeper', '--resource', identifier, '--scope', 'ledger']);
    const token = () =>
      post(server.fetch(), `${server.issuer}/token`, {
        form: { grant_type: 'client_credentials', scope: 'ledger', resource: identifier },
        headers: basic('bookkeeper', String(clientSecret)),
      });
    await expect.poll(async () => (await token()).status, { timeout: 2000 }).toBe(200);
    expect((await token()).body).toMatchObject({ expires_in: 120, scope: 'ledger' });

    await done(['resource-servers', 'delete', identifier]);
    await expect
      .poll(async () => (await token()).body['error'], { timeout: 2000 })
      .toBe('invalid_target');
    const { json } = await done(['audit', 'list', '--type', 'resource_server.deleted', '--json']);
    expect(json()['events']).toMatchObject([{ actorType: 'operator', detail: { identifier } }]);
  });

  it('has the scopes of one option, or of several', async () => {
    const identifier = 'https://scopes.example.com';
    const scopes = ['--scope', 'a=A', 'b=B', '--scope', 'c=C'];
    const created = await create(identifier, ...scopes);
    const { scopes: kept } = created.json()['resourceServer'] as { scopes: object };
    expect(Object.keys(kept).sort()).toEqual(['a', 'b', 'c', 'ledger']);
  });

  it('changes where an update names it', async () => {
    const identifier = 'https://changing.example.com';
    await create(identifier);
    const changes = ['--format', 'opaque', '--scope', 'b=B', '--remove-scope', 'ledger'];
    const updated = await done(['resource-servers', 'update', identifier, ...changes, '--json']);
    expect(updated.json()['resourceServer']).toMatchObject({
      name: 'Ledger',
      accessTokenFormat: 'opaque',
      scopes: { b: { en: 'B' } },
    });
    const definition = { name: 'Anew', scopes: { c: { en: 'C', de: 'Z' } } };
    const replaced = await done(
      ['resource-servers', 'update', identifier, '--definition', '-', '--json'],
      JSON.stringify(definition),
    );
    expect(replaced.json()['resourceServer']).toMatchObject({
      ...definition,
      accessTokenFormat: 'jwt',
      accessTokenTtlSeconds: 600,
    });
    const { output } = await done(['resource-servers', 'show', identifier]);
    expect(output).toMatch(/^scope c +\{"de":"Z","en":"C"\}$|^scope c +\{"en":"C","de":"Z"\}$/m);
  });

  it.each([
    [['create', accountsApi, '--name', 'x'], 'already a resource server', 1],
    [['create', 'not-a-uri', '--name', 'x'], 'identifier', 1],
    [['create', 'https://a.example.com'], 'name', 1],
    [['create', 'https://a.example.com', '--name', 'x', '--scope', 'openid=x'], 'OpenID', 1],
    [
      ['create', 'https://a.example.com', '--name', 'x', '--introspection-client', 'accounts-rs'],
      accountsApi,
      1,
    ],
    [['create', 'https://a.example.com', '--name', 'x', '--scope', 'a'], 'equals sign', 2],
    [['create', 'https://a.example.com', '--name', 'x', '--ttl', '901'], 'from 60 to 900', 2],
    [['update', 'https://nowhere.example.com', '--name', 'x'], 'no such resource server', 1],
    [['update', accountsApi], 'Nothing to change', 2],
    [['update', accountsApi, '--name', 'x'], 'static configuration', 1],
    [['delete', accountsApi], 'static configuration', 1],
    [['show', 'https://nowhere.example.com'], 'no such resource server', 1],
  ])('is refused when it is wrong: %j', async (words, reason, exitCode) => {
    const result = await cli.run(['resource-servers', ...words]);
    expect(result).toMatchObject({ exitCode, output: '' });
    expect(result.errors).toContain(reason);
  });

  it('is listed', async () => {
    const { json } = await done(['resource-servers', 'list', '--json']);
    const all = json()['resourceServers'] as { identifier: string }[];
    expect(all.find(({ identifier }) => identifier === accountsApi)).toMatchObject({
      name: 'Accounts API',
      source: 'file',
      introspectionClientId: 'accounts-rs',
    });
  });
});
