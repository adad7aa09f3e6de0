import type { Command } from 'commander';
import { describeSettings, settingsTable } from '../config/settings-table.ts';
import { Problem } from '../problem.ts';
import { keyRingProblems } from '../signing-keys/key-ring.ts';
import { Refusal, keyFilesOf } from '../startup/material.ts';
import { configurationProblems } from '../startup/configuration-problems.ts';
import { connectionOf, hasSigningKey, pendingConfigured } from '../startup/database.ts';
import { addCommand, addGroup, print } from './command.ts';
import { commandLogger, configurationOf } from './context.ts';
import { UsageError } from './failure.ts';
import type { Answer } from './output.ts';
import type { Shell } from './shell.ts';

interface Options {
  json?: true;
}

interface CheckOptions extends Options {
  connect?: true;
}

/** `configuration`: whether it is right, and what there is to set. */
export function addConfigurationCommands(program: Command, shell: Shell): void {
  const group = addGroup(program, 'configuration', 'check the configuration');
  addCommand(group, {
    usage: 'check',
    summary: 'name everything for which a server would not start; changes nothing',
    example: 'configuration check --connect',
  })
    .option(
      '--connect',
      'also ask the database whether it answers, which migrations it lacks, and whether a key signs',
    )
    .addHelpText('after', notLookedAt)
    .action(async (options: CheckOptions) => {
      const problems = await configurationProblems(shell.environment, shell.clock);
      const ok = problems.length === 0;
      if (!ok && options.json === true) print(shell, options, { json: { ok, problems }, text: '' });
      if (!ok) throw new Refusal(problems);
      const stored = options.connect === true ? await storedIn(shell) : undefined;
      print(shell, options, validAnswer(stored));
      if (stored?.signingKey === false) {
        throw new Problem('signing_key_invalid', { detail: noSigningKey });
      }
    });
  addCommand(group, {
    usage: 'table',
    summary: 'print every setting as a Markdown table',
    example: 'configuration table',
  }).action((options: Options) => {
    print(shell, options, { json: { settings: describeSettings() }, text: settingsTable() });
  });
}

const notLookedAt = `
Not looked at: whether the ports are free, whether clients reach the issuer, and without --connect the database.`;

/** What the operator's database says. */
interface Stored {
  /** Names of the migrations that it lacks. */
  pending: string[];
  /** Whether a key of the ring signs, or a file brings one that a start takes over. */
  signingKey: boolean;
}

/** Rejects when the operator's database does not answer. */
async function storedIn(shell: Shell): Promise<Stored> {
  const configuration = configurationOf(shell);
  if (configuration.databaseUrl === undefined) {
    throw new UsageError('There is nothing to connect to: DATABASE_URL is not set.');
  }
  const logger = commandLogger(shell, configuration);
  const { connection, stop } = await connectionOf(configuration, logger);
  try {
    const pending = await pendingConfigured(connection);
    const brought = await keyFilesOf(configuration, shell.clock).list();
    const signingKey =
      keyRingProblems(brought).length === 0 ||
      (await hasSigningKey(configuration, { connection, pending }, logger));
    return { pending, signingKey };
  } finally {
    await stop();
  }
}

/** `stored` is absent where nobody asked the database. */
function validAnswer(stored: Stored | undefined): Answer {
  const valid = 'The configuration is valid.';
  const json = { ok: stored?.signingKey !== false, problems: [], ...stored };
  if (stored === undefined) return { json, text: valid };
  const { pending } = stored;
  const lacks = pending.length === 0 ? 'no migration' : pending.join(', ');
  return { json, text: [valid, `The database answers. Pending: ${lacks}.`].join('\n') };
}

const noSigningKey =
  'there is no active RS256 key in the ring, and a server in production does not start before `npm run countersign -- keys generate`';
