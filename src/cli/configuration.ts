import type { Command } from 'commander';
import { describeSettings, settingsTable } from '../config/settings-table.ts';
import { Refusal } from '../startup/material.ts';
import { configurationProblems } from '../startup/configuration-problems.ts';
import { addCommand, addGroup, print } from './command.ts';
import type { Shell } from './shell.ts';

interface Options {
  json?: true;
}

/** `configuration`: whether it is right, and what there is to set. */
export function addConfigurationCommands(program: Command, shell: Shell): void {
  const group = addGroup(program, 'configuration', 'check the configuration');
  addCommand(group, {
    usage: 'check',
    summary: 'name everything for which a server would not start; changes nothing',
    example: 'configuration check',
  }).action(async (options: Options) => {
    const problems = await configurationProblems(shell.environment, shell.clock);
    const ok = problems.length === 0;
    const json = { ok, problems };
    if (ok) print(shell, options, { json, text: 'The configuration is valid.' });
    else if (options.json === true) print(shell, options, { json, text: '' });
    if (!ok) throw new Refusal(problems);
  });
  addCommand(group, {
    usage: 'table',
    summary: 'print every setting as a Markdown table',
    example: 'configuration table',
  }).action((options: Options) => {
    print(shell, options, { json: { settings: describeSettings() }, text: settingsTable() });
  });
}
