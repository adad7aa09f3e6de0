import type { Command } from 'commander';
import { connectionOf, migrateConfigured, pendingConfigured } from '../startup/database.ts';
import { databaseProblems } from '../config/invariants.ts';
import { Refusal } from '../startup/material.ts';
import { addCommand, print } from './command.ts';
import { commandLogger, configurationOf, withAudit } from './context.ts';
import type { Answer } from './output.ts';
import type { Shell } from './shell.ts';

interface Options {
  json?: true;
  status?: true;
}

/** `migrate`: brings the database's schema up to date. */
export function addMigrateCommand(program: Command, shell: Shell): void {
  addCommand(program, {
    usage: 'migrate',
    summary: 'apply pending migrations; several at once take turns',
    example: 'migrate --status',
  })
    .option('--status', 'only say what is pending')
    .action(async (options: Options) => {
      if (options.status === true) {
        const pending = await onConnection(shell, ({ connection }) =>
          pendingConfigured(connection),
        );
        print(shell, options, answer('pending', pending));
        return;
      }
      print(shell, options, answer('applied', await apply(shell)));
    });
}

function apply(shell: Shell): Promise<string[]> {
  return onConnection(shell, async ({ connection, logger }) => {
    const applied = await migrateConfigured(connection, logger);
    // Only now is there a table to record it in.
    await withAudit(shell, async ({ record }) => {
      for (const migration of applied) {
        await record({ type: 'migration.applied', detail: { migration } });
      }
    });
    return applied;
  });
}

type Connected = Awaited<ReturnType<typeof connectionOf>> & {
  logger: ReturnType<typeof commandLogger>;
};

async function onConnection<T>(
  shell: Shell,
  work: (connected: Connected) => Promise<T>,
): Promise<T> {
  const configuration = configurationOf(shell);
  const refused = databaseProblems(configuration);
  if (refused.length > 0) throw new Refusal(refused);
  const logger = commandLogger(shell, configuration);
  const server = await connectionOf(configuration, logger);
  try {
    return await work({ ...server, logger });
  } finally {
    await server.stop();
  }
}

function answer(kind: 'pending' | 'applied', names: readonly string[]): Answer {
  const lines = names.map((name) => `  ${name}`);
  const text = names.length === 0 ? 'The schema is up to date.' : [`${kind}:`, ...lines].join('\n');
  return { json: { [kind]: names }, text };
}
