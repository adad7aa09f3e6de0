import type { Command } from 'commander';
import { describeSettings, settingsTable } from '../config/settings-table.ts';
import { Refusal } from '../startup/material.ts';
import { configurationProblems } from '../startup/configuration-problems.ts';
import { connectionOf, pendingConfigured } from '../startup/database.ts';
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
    .option('--connect', 'also ask the database whether it answers, and which migrations it lacks')
    .addHelpText('after', notLookedAt)
    .action(async (options: CheckOptions) => {
      const problems = await configurationProblems(shell.environment, shell.clock);
      const ok = problems.length === 0;
      if (!ok && options.json === true) print(shell, options, { json: { ok, problems }, text: '' });
      if (!ok) throw new Refusal(problems);
      const pending = options.connect === true ? await pendingMigrations(shell) : undefined;
      print(shell, options, validAnswer(pending));
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

/** Names of the migrations that the operator's database lacks. Rejects when it does not answer. */
async function pendingMigrations(shell: Shell): Promise<string[]> {
  const configuration = configurationOf(shell);
  if (configuration.databaseUrl === undefined) {
    throw new UsageError('There is nothing to connect to: DATABASE_URL is not set.');
  }
  const server = await connectionOf(configuration, commandLogger(shell, configuration));
  try {
    return await pendingConfigured(server.connection);
  } finally {
    await server.stop();
  }
}

/** `pending` is absent where nobody asked the database. */
function validAnswer(pending: readonly string[] | undefined): Answer {
  const valid = 'The configuration is valid.';
  const json = { ok: true, problems: [], ...(pending && { pending }) };
  if (pending === undefined) return { json, text: valid };
  const lacks = pending.length === 0 ? 'no migration' : pending.join(', ');
  return { json, text: `${valid}\nThe database answers. Pending: ${lacks}.` };
}
