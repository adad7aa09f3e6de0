import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';
import { creationRequest, termsOf } from '../api-keys/api/api-key-shapes-api.ts';
import type { KeyOwner, KeyTerms, TermsFault } from '../api-keys/api-key.ts';
import { isDay } from '../api-keys/usage-counter.ts';
import { dayOf } from '../clock.ts';
import { Problem } from '../problem.ts';
import {
  apiKeyDetails,
  apiKeyList,
  apiKeyMade,
  apiKeyRevoked,
  apiKeyUsage,
} from './api-key-answers.ts';
import { withApiKeys } from './api-key-context.ts';
import type { ApiKeyContext } from './api-key-context.ts';
import { addCommand, addGroup, print } from './command.ts';
import { UsageError } from './failure.ts';
import { wholeNumber } from './input.ts';
import { operatorName } from './shell.ts';
import type { Shell } from './shell.ts';

interface Options {
  json?: true;
}

interface OwnerOptions extends Options {
  client?: string;
  operator?: true;
}

const maxSeconds = 157_680_000;

/** `api-keys`: keys for programs that can't run a flow. */
export function addApiKeyCommands(program: Command, shell: Shell): void {
  const group = addGroup(program, 'api-keys', 'make, rotate and end keys for programs');
  addCreate(group, shell);
  addReading(group, shell);
  addRotate(group, shell);
  addRevoke(group, shell);
  addUsage(group, shell);
}

interface CreateOptions extends OwnerOptions {
  name: string;
  allow: Record<string, string[]>;
  expiresIn: number;
  limit?: { requests: number; seconds: number };
  address?: string[];
}

function addCreate(group: Command, shell: Shell): void {
  addCommand(group, {
    usage: 'create',
    summary: 'make a key, which is shown once',
    example:
      "api-keys create --client tpp-1 --name 'nightly export' --allow 'https://api.bank.example=accounts' --expires-in 7776000",
  })
    .option('--client <id>', 'the client that owns it: it is worth what that may request')
    .option('--operator', "the bank's own")
    .requiredOption('--name <name>', 'what its owner calls it')
    .requiredOption(
      '--allow <uri=scopes>',
      'a resource server, an equals sign and scopes with blanks between; may be repeated',
      permission,
    )
    .requiredOption('--expires-in <seconds>', 'how long it works', wholeNumber(60, maxSeconds))
    .option('--limit <uses/seconds>', 'how often it may be used, for example 100/60', useLimit)
    .option('--address <network...>', 'where it may be used from: addresses or CIDR')
    .action(async (options: CreateOptions) => {
      const owner = ownerOf(options);
      if (owner === undefined) throw new UsageError('Give either --client or --operator.');
      const terms = termsFrom(options, shell.clock.now());
      const made = await withApiKeys(shell, async ({ issuing }) =>
        accepted(await issuing.create({ owner, terms, idempotency: undefined }, actor())),
      );
      print(shell, options, apiKeyMade(made.key, made.secret ?? '', shell.clock.now()));
    });
}

function addReading(group: Command, shell: Shell): void {
  addCommand(group, {
    usage: 'list',
    summary: 'list keys, the newest first',
    example: 'api-keys list --client tpp-1',
  })
    .option('--client <id>', "this client's only")
    .option('--operator', "the bank's own only")
    .option('--after <id>', 'go on after this key')
    .option('--limit <count>', 'how many', wholeNumber(1, 1000), 100)
    .action(async (options: OwnerOptions & { after?: string; limit: number }) => {
      const { after, limit } = options;
      const owner = ownerOf(options);
      const keys = await withApiKeys(shell, async ({ apiKeys, clients }) => {
        const listed = await apiKeys.list({ owner, after, limit });
        if (listed.length === 0) await rejectUnknownClient(owner, clients);
        return listed;
      });
      print(shell, options, apiKeyList(keys, shell.clock.now()));
    });
  addCommand(group, {
    usage: 'show <id>',
    summary: 'show a key, without the key itself',
    example: 'api-keys show 6f0c0f5e-…',
  }).action(async (id: string, options: Options) => {
    const key = await withApiKeys(shell, (context) => findKey(context, id));
    print(shell, options, apiKeyDetails(key, shell.clock.now()));
  });
}

function addRotate(group: Command, shell: Shell): void {
  addCommand(group, {
    usage: 'rotate <id>',
    summary: 'make a successor of a key, which is shown once; both work for the overlap',
    example: 'api-keys rotate 6f0c0f5e-… --overlap 86400',
  })
    .requiredOption('--overlap <seconds>', 'how long both work', wholeNumber(0, 2_592_000))
    .option(
      '--expires-in <seconds>',
      "how long the successor works; its predecessor's life without",
      wholeNumber(60, maxSeconds),
    )
    .action(async (id: string, options: Options & { overlap: number; expiresIn?: number }) => {
      const { overlap: overlapSeconds, expiresIn } = options;
      const expiresAt = expiresIn === undefined ? undefined : inSeconds(shell, expiresIn);
      const made = await withApiKeys(shell, async ({ issuing }) =>
        accepted(await issuing.rotate(id, { overlapSeconds, expiresAt }, actor())),
      );
      print(shell, options, apiKeyMade(made.key, made.secret, shell.clock.now()));
    });
}

function addRevoke(group: Command, shell: Shell): void {
  addCommand(group, {
    usage: 'revoke <id>',
    summary: 'end a key at once, everywhere',
    example: 'api-keys revoke 6f0c0f5e-…',
  }).action(async (id: string, options: Options) => {
    const key = await withApiKeys(shell, ({ issuing }) => issuing.revoke(id, actor()));
    print(shell, options, apiKeyRevoked(key, shell.clock.now()));
  });
}

function addUsage(group: Command, shell: Shell): void {
  addCommand(group, {
    usage: 'usage <id>',
    summary: 'tell how often a key was used, by day (UTC)',
    example: 'api-keys usage 6f0c0f5e-… --from 2026-11-01',
  })
    .option('--from <day>', 'the first day; 30 days ago without', wholeDay)
    .option('--to <day>', 'the last day; today without', wholeDay)
    .action(async (id: string, options: Options & { from?: string; to?: string }) => {
      const { from = dayOf(inSeconds(shell, -30 * 86_400)), to = dayOf(shell.clock.now()) } =
        options;
      const days = await withApiKeys(shell, async (context) => {
        await findKey(context, id);
        return context.usage.of(id, { from, to });
      });
      print(shell, options, apiKeyUsage(days));
    });
}

function actor() {
  return { type: 'operator', id: operatorName() } as const;
}

function ownerOf({ client, operator }: Pick<OwnerOptions, 'client' | 'operator'>) {
  if (client !== undefined && operator === true) {
    throw new UsageError('Give either --client or --operator.');
  }
  const owner: KeyOwner | undefined =
    client === undefined ? undefined : { type: 'client', id: client };
  return operator === true ? ({ type: 'operator' } as const) : owner;
}

async function findKey({ apiKeys }: ApiKeyContext, id: string) {
  const found = await apiKeys.find(id);
  if (found === undefined) throw new Problem('api_key_not_found', { detail: id });
  return found;
}

/** Problem('client_not_found'): a mistyped name is not told that there are no keys. */
async function rejectUnknownClient(
  owner: KeyOwner | undefined,
  clients: ApiKeyContext['clients'],
): Promise<void> {
  if (owner?.type !== 'client' || (await clients.find(owner.id)) !== undefined) return;
  throw new Problem('client_not_found', { detail: owner.id });
}

function inSeconds({ clock }: Shell, seconds: number): Date {
  return new Date(clock.now().getTime() + seconds * 1000);
}

/** As the API checks them. */
function termsFrom(options: CreateOptions, now: Date): KeyTerms {
  const parsed = creationRequest.safeParse({
    name: options.name,
    permissions: options.allow,
    expires_at: new Date(now.getTime() + options.expiresIn * 1000).toISOString(),
    rate_limit: options.limit,
    addresses: options.address,
  });
  if (parsed.success) return termsOf(parsed.data);
  const faults = parsed.error.issues.map(({ path, message }) => ({
    ...{ path: path.map(String).join('.'), message },
  }));
  throw invalid(faults);
}

function accepted<T extends object>(done: T | { faults: readonly TermsFault[] }): T {
  if ('faults' in done) throw invalid(done.faults);
  return done;
}

function invalid(faults: readonly TermsFault[]): Problem {
  const detail = faults.map(({ path, message }) => `${path}: ${message}`).join('; ');
  return new Problem('api_key_invalid', { detail });
}

/** `uri=scope scope`, collected; scopes have no equals sign that counts, URIs may. */
function permission(value: string, previous: Record<string, string[]> = {}) {
  const end = value.lastIndexOf('=');
  const scopes = value
    .slice(end + 1)
    .split(' ')
    .filter(Boolean);
  if (end > 0 && scopes.length > 0) return { ...previous, [value.slice(0, end)]: scopes };
  throw new InvalidArgumentError('It must be a resource server, an equals sign, and scopes.');
}

function useLimit(value: string): { requests: number; seconds: number } {
  const [, requests, seconds] = /^(\d{1,7})\/(\d{1,5})$/.exec(value) ?? [];
  if (requests !== undefined && seconds !== undefined) {
    return { requests: Number(requests), seconds: Number(seconds) };
  }
  throw new InvalidArgumentError('It must be uses and seconds, such as 100/60.');
}

function wholeDay(value: string): string {
  if (isDay(value)) return value;
  throw new InvalidArgumentError('It must be a day such as 2026-11-22.');
}
