import type { Command } from 'commander';
import { describeSettings, settingsTable } from '../config/settings-table.ts';
import { Problem } from '../problem.ts';
import { Refusal } from '../startup/material.ts';
import { configurationProblems } from '../startup/configuration-problems.ts';
import { addCommand, addGroup, print } from './command.ts';
import { storedIn } from './stored-state.ts';
import type { Stored } from './stored-state.ts';
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
        throw new Problem('signing_key_act_refused', { detail: noSigningKey });
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

/** `stored` is absent where nobody asked the database. */
function validAnswer(stored: Stored | undefined): Answer {
  const valid = 'The configuration is valid.';
  const json = { ok: stored?.signingKey !== false, problems: [], ...stored };
  return { json, text: stored === undefined ? valid : `${valid}\n${storedText(stored)}` };
}

function storedText({ embedded, pending }: Stored): string {
  const lacks = `Pending: ${pending.length === 0 ? 'no migration' : pending.join(', ')}.`;
  if (embedded === undefined) return `The database answers. ${lacks}`;
  const { directory, made } = embedded;
  const used = 'DATABASE_URL is not set, so the embedded database is used';
  return made
    ? `${used}: it answers, in ${directory}. ${lacks}`
    : `${used}: it can be started here (one was, elsewhere, and is removed again). The first start makes it in ${directory}.`;
}

const noSigningKey =
  'there is no active RS256 key in the ring, and a server in production does not start before `npm run countersign -- keys generate`';
