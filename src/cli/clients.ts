import { randomBytes } from 'node:crypto';
import type { Command } from 'commander';
import { parseClientMetadata } from '../clients/client-metadata.ts';
import { isSecretMethod } from '../clients/client.ts';
import type { Client } from '../clients/client.ts';
import { Problem } from '../problem.ts';
import { randomSecret } from '../security/secrets.ts';
import { addClientOptions, changedMetadata, metadataOf } from './client-options.ts';
import type { ClientOptions } from './client-options.ts';
import { assessClient } from '../clients/assessment.ts';
import {
  clientAssessments,
  clientDetails,
  clientDone,
  clientList,
  clientRegistered,
} from './client-answers.ts';
import { addCommand, addGroup, print } from './command.ts';
import { configurationOf, withStores } from './context.ts';
import type { StoresContext } from './context.ts';
import { UsageError } from './failure.ts';
import { addRegistrationCommands } from './registration.ts';
import { rejectUnknownScopes } from './resource-scopes.ts';
import type { Shell } from './shell.ts';

interface Options {
  json?: true;
}

/** `clients`: third parties, browser applications, and resource servers that introspect. */
export function addClientCommands(
  program: Command,
  shell: Shell,
  onExit: (code: number) => void,
): void {
  const group = addGroup(program, 'clients', 'register and change clients');
  addReading(group, shell);
  addAssess(group, shell);
  addCreate(group, shell);
  addUpdate(group, shell);
  addStatus(group, shell);
  addRotateSecret(group, shell);
  addAllow(group, shell);
  addDelete(group, shell);
  addRegistrationCommands(group, shell, onExit);
}

function addReading(group: Command, shell: Shell): void {
  addCommand(group, {
    usage: 'list',
    summary: 'list all clients',
    example: 'clients list --json',
  }).action(async (options: Options) => {
    const clients = await withStores(shell, (context) => context.clients.list());
    print(shell, options, clientList(clients));
  });
  addCommand(group, {
    usage: 'show <id>',
    summary: 'show a client, without its secret',
    example: 'clients show web-1',
  }).action(async (id: string, options: Options) => {
    const client = await withStores(shell, (context) => findClient(context, id));
    print(shell, options, clientDetails(client));
  });
}

function addAssess(group: Command, shell: Shell): void {
  addCommand(group, {
    usage: 'assess [id]',
    summary: "tell how far a client, or every client, is from FAPI 2.0 and RFC 9700's advice",
    example: 'clients assess tpp-1',
  }).action(async (id: string | undefined, options: Options) => {
    const clients = await withStores(shell, async (context) =>
      id === undefined ? context.clients.list() : [await findClient(context, id)],
    );
    print(shell, options, clientAssessments(clients.map(assessClient)));
  });
}

function addCreate(group: Command, shell: Shell): void {
  const command = addCommand(group, {
    usage: 'create',
    summary: 'register a client; its secret, if it has one, is generated and shown once',
    example:
      "clients create --id tpp-1 --name 'Example TPP' --auth-method tls_client_auth --subject-dn 'CN=tpp-1,C=GB' --grant-type client_credentials",
  }).option('--id <id>', 'the client_id; generated when neither this nor the metadata names one');
  addClientOptions(command).action(async (options: Options & ClientOptions & { id?: string }) => {
    const given = await metadataOf(options, shell);
    const id = options.id ?? given['client_id'] ?? `client-${randomBytes(8).toString('hex')}`;
    const { minimumProfile } = configurationOf(shell);
    const metadata = parseClientMetadata({ ...given, client_id: id }, { minimumProfile });
    const secret = secretFor(metadata.token_endpoint_auth_method);
    const client = await withStores(shell, async ({ clients, record }) => {
      const draft = { metadata, permissions: {}, source: 'operator', secret } as const;
      const created = await clients.insert(draft);
      await record({ type: 'client.created', clientId: created.id });
      return created;
    });
    print(shell, options, clientRegistered(client, secret));
  });
}

function addUpdate(group: Command, shell: Shell): void {
  const command = addCommand(group, {
    usage: 'update <id>',
    summary: 'change what the options name; --metadata replaces everything',
    example: 'clients update web-1 --redirect-uri https://web.example.com/callback',
  });
  addClientOptions(command).action(async (id: string, options: Options & ClientOptions) => {
    const changes = await metadataOf(options, shell);
    if (Object.keys(changes).length === 0) throw new UsageError('Nothing to change was named.');
    const done = await withStores(shell, async (context) => {
      const present = await findOwnClient(context, id);
      const base = options.metadata === undefined ? present.metadata : {};
      const changed = { client_id: id, ...changedMetadata(base, changes) };
      const { minimumProfile } = context.configuration;
      const metadata = parseClientMetadata(changed, { minimumProfile });
      if (metadata.client_id !== id) throw new UsageError('The metadata is of another client.');
      const { token_endpoint_auth_method: method } = metadata;
      const secret = present.hasSecret ? undefined : secretFor(method);
      await context.clients.setMetadata(metadata, secret);
      const detail = { change: 'metadata', members: Object.keys(changes) };
      await context.record({ type: 'client.updated', clientId: id, detail });
      return { client: await findClient(context, id), secret };
    });
    print(shell, options, clientDone('changed', done.client, done.secret));
  });
}

function addStatus(group: Command, shell: Shell): void {
  const kinds = [
    ['suspend', 'suspended', 'refuse the client everything until it is resumed'],
    ['resume', 'active', 'let a suspended client in again'],
  ] as const;
  for (const [name, status, summary] of kinds) {
    const words = { usage: `${name} <id>`, summary, example: `clients ${name} tpp-1` };
    addCommand(group, words).action(async (id: string, options: Options) => {
      const client = await withStores(shell, async (context) => {
        await context.clients.setStatus(id, status);
        const detail = { change: 'status', status };
        await context.record({ type: 'client.updated', clientId: id, detail });
        return findClient(context, id);
      });
      print(shell, options, clientDone(status, client));
    });
  }
}

function addRotateSecret(group: Command, shell: Shell): void {
  addCommand(group, {
    usage: 'rotate-secret <id>',
    summary: 'give the client a new secret, shown once; the old one ends at once',
    example: 'clients rotate-secret web-1',
  }).action(async (id: string, options: Options) => {
    const secret = randomSecret();
    const client = await withStores(shell, async (context) => {
      await findOwnClient(context, id);
      await context.clients.setSecret(id, secret);
      const detail = { change: 'secret' };
      await context.record({ type: 'client.updated', clientId: id, detail });
      return findClient(context, id);
    });
    print(shell, options, clientDone('given a new secret', client, secret));
  });
}

interface AllowOptions extends Options {
  resource: string;
  scope?: string[];
  nothing?: true;
}

function addAllow(group: Command, shell: Shell): void {
  addCommand(group, {
    usage: 'allow <id>',
    summary: 'say which scopes of a resource server the client may request; replaces what it might',
    example: 'clients allow tpp-1 --resource https://api.bank.example --scope accounts payments',
  })
    .requiredOption('--resource <uri>', 'the resource server')
    .option('--scope <scope...>', 'the scopes that it may request from now on')
    .option('--nothing', 'it may request nothing there any more')
    .action(async (id: string, options: AllowOptions) => {
      if ((options.scope === undefined) === (options.nothing === undefined)) {
        throw new UsageError('Give either --scope or --nothing.');
      }
      const { resource, scope: scopes = [] } = options;
      const client = await withStores(shell, async (context) => {
        await findOwnClient(context, id);
        await rejectUnknownScopes(context, resource, scopes);
        await context.clients.setPermission(id, resource, scopes);
        const detail = { change: 'permissions', resource, scopes };
        await context.record({ type: 'client.updated', clientId: id, detail });
        return findClient(context, id);
      });
      print(shell, options, clientDone('changed', client));
    });
}

function addDelete(group: Command, shell: Shell): void {
  addCommand(group, {
    usage: 'delete <id>',
    summary: 'delete the client and everything that was issued to it',
    example: 'clients delete tpp-1',
  }).action(async (id: string, options: Options) => {
    await withStores(shell, async (context) => {
      await findOwnClient(context, id, 'take it out');
      await context.clients.delete(id);
      await context.record({ type: 'client.deleted', clientId: id });
    });
    print(shell, options, { json: { deleted: id }, text: `The client ${id} is deleted.` });
  });
}

function secretFor(method: Client['metadata']['token_endpoint_auth_method']): string | undefined {
  return isSecretMethod(method) ? randomSecret() : undefined;
}

async function findClient({ clients }: Pick<StoresContext, 'clients'>, id: string) {
  const client = await clients.find(id);
  if (client === undefined) throw new Problem('client_not_found', { detail: id });
  return client;
}

/** A client that no static file owns: the next start would undo the change. */
async function findOwnClient(
  context: StoresContext,
  id: string,
  remedy = 'change it',
): Promise<Client> {
  const client = await findClient(context, id);
  if (client.source !== 'file') return client;
  const detail = `${id} is declared in the static configuration: ${remedy} there`;
  throw new Problem('client_invalid', { detail });
}
