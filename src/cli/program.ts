import { Command, CommanderError } from 'commander';
import packageJson from '../../package.json' with { type: 'json' };
import { addApiKeyCommands } from './api-keys.ts';
import { addAuditCommands } from './audit.ts';
import { addClientCommands } from './clients.ts';
import { addConfigurationCommands } from './configuration.ts';
import { addConsentCommands } from './consents.ts';
import { addCustomerCommands } from './customers.ts';
import { addDoctorCommand } from './doctor.ts';
import { addEventCommands } from './events.ts';
import { exitCodeOf, exitCodes, explain } from './failure.ts';
import { addKeyCommands } from './keys.ts';
import { addMigrateCommand } from './migrate.ts';
import { addResourceServerCommands } from './resource-servers.ts';
import { addSandboxCommands } from './sandbox.ts';
import { addSecretCommands } from './secrets.ts';
import { addServeCommand } from './serve.ts';
import type { Shell } from './shell.ts';

/** Runs one command line, without `node` and the program's name; resolves to the exit code and never rejects. */
export async function runCommandLine(words: readonly string[], shell: Shell): Promise<number> {
  let exitCode: number = exitCodes.ok;
  const program = createProgram(shell);
  const onExit = (code: number): void => {
    exitCode = code;
  };
  addServeCommand(program, shell, onExit);
  addMigrateCommand(program, shell);
  addClientCommands(program, shell, onExit);
  addResourceServerCommands(program, shell);
  addCustomerCommands(program, shell);
  addConsentCommands(program, shell);
  addEventCommands(program, shell);
  addKeyCommands(program, shell);
  addApiKeyCommands(program, shell);
  addSecretCommands(program, shell);
  addAuditCommands(program, shell);
  addConfigurationCommands(program, shell);
  addSandboxCommands(program, shell);
  addDoctorCommand(program, shell, onExit);
  try {
    await program.parseAsync(words, { from: 'user' });
    return exitCode;
  } catch (error) {
    // commander has said by itself what it did not understand.
    if (!(error instanceof CommanderError)) shell.errors.write(`${explain(error)}\n`);
    return exitCodeOf(error);
  }
}

function createProgram({ output, errors }: Shell): Command {
  return new Command('countersign')
    .description('Runs and administers Countersign; settings come from the environment.')
    .version(packageJson.version, '--version', 'print the version')
    .addHelpText('after', exitCodeHelp)
    .showHelpAfterError('(--help shows what there is)')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => output.write(text),
      writeErr: (text) => errors.write(text),
      outputError: (text, write) => {
        write(text.replace(/^error: ./, (start) => (start.at(-1) ?? '').toUpperCase()));
      },
    });
}

const exitCodeHelp = `
Every command takes --help and --json.
Exit codes: 0 done, 1 failed, 2 called wrongly, 78 configured wrongly.`;
