import type { Command } from 'commander';
import { jsonText } from './output.ts';
import type { Answer } from './output.ts';
import type { Shell } from './shell.ts';

/** A command's words. */
export interface CommandWords {
  /** Name and arguments as commander writes them: `show <id>`. */
  usage: string;
  summary: string;
  /** What follows `countersign` in the example of `--help`. */
  example: string;
}

/** Adds a command with `--json` and an example in its help. */
export function addCommand(parent: Command, { usage, summary, example }: CommandWords): Command {
  return parent
    .command(usage)
    .description(summary)
    .option('--json', 'print one JSON document instead of text')
    .addHelpText('after', `\nExample:\n  countersign ${example}`);
}

/** Adds a group of commands, such as `clients`. */
export function addGroup(parent: Command, name: string, summary: string): Command {
  return parent.command(name).description(summary);
}

/** Prints a command's answer as it was asked for; nothing else of a command writes to the output. */
export function print({ output }: Shell, options: { json?: true }, answer: Answer): void {
  const text = options.json === true ? jsonText(answer.json) : answer.text;
  output.write(`${text}\n`);
}
