import { Option } from 'commander';
import type { Command } from 'commander';
import { Problem } from '../problem.ts';
import { checkStream, streamAlgorithms } from '../security-events/security-event.ts';
import type {
  EventStream,
  StreamAlgorithm,
  StreamDraft,
} from '../security-events/security-event.ts';
import { isNeverReached } from '../security/outbound-fetch.ts';
import { randomSecret } from '../security/secrets.ts';
import { addCommand, addGroup, print } from './command.ts';
import { withStores } from './context.ts';
import type { StoresContext } from './context.ts';
import { streamDetails, streamDone, streamHealth, streamList } from './event-answers.ts';
import { UsageError } from './failure.ts';
import { readInput } from './input.ts';
import type { Shell } from './shell.ts';

interface Options {
  json?: true;
}

interface AddOptions extends Options {
  client?: string;
  resourceServer?: string;
  push?: string;
  poll?: true;
  authorization?: string;
  algorithm?: StreamAlgorithm;
  id?: string;
}

/** `events`: who is told of changes to consents. */
export function addEventCommands(program: Command, shell: Shell): void {
  const events = addGroup(program, 'events', 'say who is told of changes to consents');
  const streams = addGroup(events, 'streams', 'receivers of security events, and how they do');
  addAdd(streams, shell);
  addReading(streams, shell);
  addUpdate(streams, shell);
  addStatusChanges(streams, shell);
  addRemove(streams, shell);
}

function addAdd(group: Command, shell: Shell): void {
  addCommand(group, {
    usage: 'add',
    summary: 'tell a client, or a resource server, of changes to consents from now on',
    example:
      'events streams add --resource-server https://api.bank.example --push https://api.bank.example/events',
  })
    .option('--client <id>', 'the client, which hears of its own consents')
    .option('--resource-server <identifier>', 'the resource server, by its scopes')
    .option('--push <url>', 'push events there (RFC 8935)')
    .option('--poll', 'let it fetch them (RFC 8936)')
    .option('--authorization <file>', 'holds the Authorization header of a push (- for the input)')
    .addOption(new Option('--algorithm <algorithm>', 'that signs').choices([...streamAlgorithms]))
    .option('--id <id>', 'name of the stream; random without it')
    .action(async (options: AddOptions) => {
      const authorization = await authorizationIn(options, shell);
      const added = await withStores(shell, async (context) => {
        const draft = await draftOf(options, authorization, context);
        await context.eventStreams.insert(draft);
        const { id: stream, clientId, resourceServer, delivery, endpoint } = draft;
        const detail = { stream, resourceServer, delivery, endpoint };
        await context.record({
          ...{ type: 'event_stream.created', detail },
          ...(clientId === undefined ? {} : { clientId }),
        });
        return find(context, stream);
      });
      print(shell, options, streamDone('added', added));
    });
}

async function authorizationIn(
  { authorization: file }: Pick<AddOptions, 'authorization'>,
  shell: Shell,
): Promise<string | undefined> {
  return file === undefined ? undefined : (await readInput(shell, file)).replace(/\r?\n$/, '');
}

async function draftOf(
  options: AddOptions,
  authorization: string | undefined,
  { resourceServers, configuration }: Pick<StoresContext, 'resourceServers' | 'configuration'>,
): Promise<StreamDraft> {
  const { client: clientId, resourceServer, push: endpoint, poll, id } = options;
  if ((endpoint === undefined) === (poll === undefined)) {
    throw new UsageError('Say how events are delivered: --push <url>, or --poll.');
  }
  const api = resourceServer === undefined ? undefined : await resourceServers.find(resourceServer);
  const draft = checkStream({
    ...{ id: id ?? randomSecret(16), clientId, resourceServer, endpoint, authorization },
    delivery: endpoint === undefined ? 'poll' : 'push',
    algorithm: options.algorithm ?? api?.signingAlgorithm ?? 'RS256',
    source: 'operator',
  });
  rejectUnreachable(endpoint, configuration);
  return draft;
}

/** What a name stands for is known only when it is looked up, and may change; an address says it by itself. */
function rejectUnreachable(
  endpoint: string | undefined,
  { outboundAllow }: Pick<StoresContext['configuration'], 'outboundAllow'>,
): void {
  if (endpoint === undefined) return;
  const url = new URL(endpoint);
  if (!isNeverReached(url, { allowedHosts: outboundAllow })) return;
  const detail = `${url.host} is a private address, to which nothing is sent unless COUNTERSIGN_OUTBOUND_ALLOW names it, here and for the servers`;
  throw new Problem('event_stream_invalid', { detail });
}

function addReading(group: Command, shell: Shell): void {
  addCommand(group, {
    usage: 'list',
    summary: 'list all streams',
    example: 'events streams list',
  }).action(async (options: Options) => {
    const all = await withStores(shell, ({ eventStreams }) => eventStreams.list());
    print(shell, options, streamList(all));
  });
  addCommand(group, {
    usage: 'show <stream>',
    summary: 'show a stream',
    example: 'events streams show accounts-api',
  }).action(async (id: string, options: Options) => {
    const found = await withStores(shell, (context) => find(context, id));
    print(shell, options, streamDetails(found));
  });
  addCommand(group, {
    usage: 'status <stream>',
    summary: 'show what waits for a receiver, and what became of the events of the last week',
    example: 'events streams status accounts-api',
  }).action(async (id: string, options: Options) => {
    const [stream, health] = await withStores(
      shell,
      async (context) => [await find(context, id), await context.eventStreams.health(id)] as const,
    );
    if (health === undefined) throw unknown(id);
    print(shell, options, streamHealth(stream, health));
  });
}

function addUpdate(group: Command, shell: Shell): void {
  addCommand(group, {
    usage: 'update <stream>',
    summary: 'replace what is named; what waits is then sent so',
    example: 'events streams update accounts-api --authorization new-header.txt',
  })
    .option('--push <url>', 'push events there')
    .option('--authorization <file>', 'holds the Authorization header of a push (- for the input)')
    .addOption(new Option('--algorithm <algorithm>', 'that signs').choices([...streamAlgorithms]))
    .action(async (id: string, options: AddOptions) => {
      const authorization = await authorizationIn(options, shell);
      const named = { endpoint: options.push, authorization, algorithm: options.algorithm };
      const entries = Object.entries(named).filter(([, value]) => value !== undefined);
      if (entries.length === 0) throw new UsageError('Nothing to change was named.');
      const change = Object.fromEntries(entries);
      const updated = await withStores(shell, async (context) => {
        const present = await findOwn(context, id, 'change it');
        checkStream({ authorization: undefined, ...present, ...change });
        rejectUnreachable(options.push, context.configuration);
        await context.eventStreams.update(id, change);
        const detail = { stream: id, members: Object.keys(change) };
        await context.record({ type: 'event_stream.updated', detail });
        return find(context, id);
      });
      print(shell, options, streamDone('changed', updated));
    });
}

const changes = [
  ['pause', 'paused', 'let events wait until the stream goes on', 'paused'],
  ['resume', 'enabled', 'go on, and try a receiver at once that failed', 'resumed'],
] as const;

function addStatusChanges(group: Command, shell: Shell): void {
  for (const [name, status, summary, done] of changes) {
    addCommand(group, {
      ...{ usage: `${name} <stream>`, summary, example: `events streams ${name} accounts-api` },
    }).action(async (id: string, options: Options) => {
      const changed = await withStores(shell, async (context) => {
        if (!(await context.eventStreams.setStatus(id, status))) throw unknown(id);
        await context.record({ type: 'event_stream.updated', detail: { stream: id, status } });
        return find(context, id);
      });
      print(shell, options, streamDone(done, changed));
    });
  }
}

function addRemove(group: Command, shell: Shell): void {
  addCommand(group, {
    usage: 'remove <stream>',
    summary: 'tell a receiver nothing more; what it was still to be told is dropped',
    example: 'events streams remove accounts-api',
  }).action(async (id: string, options: Options) => {
    const removed = await withStores(shell, async (context) => {
      const stream = await findOwn(context, id, 'take it out');
      await context.eventStreams.delete(id);
      await context.record({ type: 'event_stream.deleted', detail: { stream: id } });
      return stream;
    });
    print(shell, options, streamDone('removed', removed));
  });
}

async function find(
  { eventStreams }: Pick<StoresContext, 'eventStreams'>,
  id: string,
): Promise<EventStream> {
  const found = await eventStreams.find(id);
  if (found === undefined) throw unknown(id);
  return found;
}

/** A stream that no static file owns: the next start would undo the change. */
async function findOwn(
  context: Pick<StoresContext, 'eventStreams'>,
  id: string,
  remedy: string,
): Promise<EventStream> {
  const stream = await find(context, id);
  if (stream.source === 'operator') return stream;
  const detail = `${id} is declared in the static configuration: ${remedy} there`;
  throw new Problem('event_stream_invalid', { detail });
}

function unknown(id: string): Problem {
  return new Problem('event_stream_not_found', { detail: id });
}
