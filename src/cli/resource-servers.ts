import { Option } from 'commander';
import type { Command } from 'commander';
import { parseStaticConfiguration } from '../config/static-file.ts';
import { Problem } from '../problem.ts';
import { checkResourceServer } from '../resource-servers/resource-server.ts';
import type { ResourceServer } from '../resource-servers/resource-server.ts';
import { addCommand, addGroup, print } from './command.ts';
import { withStores } from './context.ts';
import type { StoresContext } from './context.ts';
import { UsageError } from './failure.ts';
import { readJsonInput, scopeSentence, wholeNumber } from './input.ts';
import { resourceServerDetails, resourceServerList } from './resource-server-answers.ts';
import type { Shell } from './shell.ts';

interface Options {
  json?: true;
}

interface ChangeOptions extends Options {
  definition?: string;
  name?: string;
  scope?: Record<string, string>;
  format?: string;
  ttl?: number;
  algorithm?: string;
  introspectionClient?: string;
}

/** `resource-servers`: the APIs that tokens are for. */
export function addResourceServerCommands(program: Command, shell: Shell): void {
  const group = addGroup(program, 'resource-servers', 'say which APIs there are, and their scopes');
  addReading(group, shell);
  addCreate(group, shell);
  addUpdate(group, shell);
  addDelete(group, shell);
}

function addReading(group: Command, shell: Shell): void {
  addCommand(group, {
    usage: 'list',
    summary: 'list all resource servers',
    example: 'resource-servers list',
  }).action(async (options: Options) => {
    const all = await withStores(shell, (context) => context.resourceServers.list());
    print(shell, options, resourceServerList(all));
  });
  addCommand(group, {
    usage: 'show <identifier>',
    summary: 'show a resource server and its scopes',
    example: 'resource-servers show https://api.bank.example',
  }).action(async (identifier: string, options: Options) => {
    const found = await withStores(shell, (context) => find(context, identifier));
    print(shell, options, resourceServerDetails(found));
  });
}

function addChangeOptions(command: Command): Command {
  return command
    .option('--definition <file>', 'its JSON as in the static file (- for standard input)')
    .option('--name <name>', 'what customers read')
    .option(
      '--scope <scope=sentence...>',
      'scopes and what customers read (several, or repeat)',
      scopeSentence,
    )
    .addOption(new Option('--format <format>', 'of its access tokens').choices(['jwt', 'opaque']))
    .option('--ttl <seconds>', 'how long its access tokens live', wholeNumber(60, 900))
    .addOption(
      new Option('--algorithm <algorithm>', 'that signs its access tokens').choices([
        'RS256',
        'PS256',
        'ES256',
        'EdDSA',
      ]),
    )
    .option('--introspection-client <id>', 'the client as which it introspects');
}

function addCreate(group: Command, shell: Shell): void {
  const command = addCommand(group, {
    usage: 'create <identifier>',
    summary: 'add a resource server',
    example:
      "resource-servers create https://api.bank.example --name 'Accounts' --scope 'accounts=See your accounts'",
  });
  addChangeOptions(command).action(async (identifier: string, options: ChangeOptions) => {
    const changes = await changesOf(options, shell);
    const created = await withStores(shell, async (context) => {
      const draft = draftOf(identifier, { scopes: {}, ...changes }, context);
      await context.resourceServers.insert(draft);
      const detail = { identifier, scopes: Object.keys(draft.scopes) };
      await context.record({ type: 'resource_server.created', detail });
      return find(context, identifier);
    });
    const { json } = resourceServerDetails(created);
    print(shell, options, { json, text: `The resource server ${identifier} is added.` });
  });
}

function addUpdate(group: Command, shell: Shell): void {
  const command = addCommand(group, {
    usage: 'update <identifier>',
    summary: 'change what the options name; --definition replaces everything',
    example: 'resource-servers update https://api.bank.example --format opaque',
  }).option('--remove-scope <scope...>', 'scopes that it has no more');
  type UpdateOptions = ChangeOptions & { removeScope?: string[] };
  addChangeOptions(command).action(async (identifier: string, options: UpdateOptions) => {
    const { removeScope = [] } = options;
    const changes = await changesOf(options, shell);
    if (Object.keys(changes).length + removeScope.length === 0) {
      throw new UsageError('Nothing to change was named.');
    }
    const changed = await withStores(shell, async (context) => {
      const {
        source: _source,
        identifier: _identifier,
        ...present
      } = await findOwn(context, identifier);
      const base = options.definition === undefined ? present : { scopes: {} };
      const scopes = { ...base.scopes, ...(changes['scopes'] as ResourceServer['scopes']) };
      const kept = Object.entries(scopes).filter(([scope]) => !removeScope.includes(scope));
      const value = { ...base, ...changes, scopes: Object.fromEntries(kept) };
      await context.resourceServers.save(draftOf(identifier, value, context));
      const detail = { identifier, members: Object.keys(changes), removedScopes: removeScope };
      await context.record({ type: 'resource_server.updated', detail });
      return find(context, identifier);
    });
    const { json } = resourceServerDetails(changed);
    print(shell, options, { json, text: `The resource server ${identifier} is changed.` });
  });
}

function addDelete(group: Command, shell: Shell): void {
  addCommand(group, {
    usage: 'delete <identifier>',
    summary: 'delete a resource server and what clients may request there',
    example: 'resource-servers delete https://api.bank.example',
  }).action(async (identifier: string, options: Options) => {
    await withStores(shell, async (context) => {
      await findOwn(context, identifier, 'take it out');
      await context.resourceServers.delete(identifier);
      await context.record({ type: 'resource_server.deleted', detail: { identifier } });
    });
    const text = `The resource server ${identifier} is deleted.`;
    print(shell, options, { json: { deleted: identifier }, text });
  });
}

/** What the definition and the options name, in the static file's words; unchecked. */
async function changesOf(options: ChangeOptions, shell: Shell): Promise<Record<string, unknown>> {
  const { definition, name, scope, format, ttl, algorithm, introspectionClient } = options;
  const file = definition === undefined ? {} : await readJsonInput(shell, definition);
  const inEnglish = Object.entries(scope ?? {}).map(
    ([key, sentence]) => [key, { en: sentence }] as const,
  );
  const named = {
    name,
    scopes:
      scope === undefined
        ? undefined
        : { ...(file['scopes'] as object | undefined), ...Object.fromEntries(inEnglish) },
    accessTokenFormat: format,
    accessTokenTtlSeconds: ttl,
    signingAlgorithm: algorithm,
    introspectionClientId: introspectionClient,
  };
  const given = Object.entries(named).filter(([, value]) => value !== undefined);
  return { ...file, ...Object.fromEntries(given) };
}

function draftOf(
  identifier: string,
  value: Record<string, unknown>,
  { configuration }: Pick<StoresContext, 'configuration'>,
): ResourceServer {
  const { resourceServers } = parsed({ identifier, ...value });
  const [draft] = resourceServers;
  if (draft?.identifier !== identifier) {
    throw new UsageError('The definition is of another resource server.');
  }
  return checkResourceServer({
    ...draft,
    accessTokenTtlSeconds: draft.accessTokenTtlSeconds ?? configuration.accessTokenTtlSeconds,
    introspectionClientId: draft.introspectionClientId,
    source: 'operator',
  });
}

/** The same check as for the static file, in the words of a command. */
function parsed(resourceServer: Record<string, unknown>) {
  try {
    return parseStaticConfiguration({ resourceServers: [resourceServer] }, '');
  } catch (cause) {
    if (!(cause instanceof Problem)) throw cause;
    const detail = cause.detail?.replaceAll(/(?:^: )?resourceServers\.0\./g, '') ?? '';
    throw new Problem('resource_server_invalid', { detail, cause });
  }
}

async function find(
  { resourceServers }: Pick<StoresContext, 'resourceServers'>,
  identifier: string,
) {
  const found = await resourceServers.find(identifier);
  if (found === undefined) throw new Problem('resource_server_not_found', { detail: identifier });
  return found;
}

/** A resource server that no static file owns: the next start would undo the change. */
async function findOwn(
  context: StoresContext,
  identifier: string,
  remedy = 'change it',
): Promise<ResourceServer> {
  const found = await find(context, identifier);
  if (found.source === 'operator') return found;
  const detail = `${identifier} is declared in the static configuration: ${remedy} there`;
  throw new Problem('resource_server_invalid', { detail });
}
