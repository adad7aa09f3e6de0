import type { Command } from 'commander';
import { addCommand, print } from './command.ts';
import type { Shell } from './shell.ts';

/** `serve`: the server, as `npm start` runs it. `onExit` gets its exit code. */
export function addServeCommand(
  program: Command,
  shell: Shell,
  onExit: (exitCode: number) => void,
): void {
  addCommand(program, {
    usage: 'serve',
    summary: 'run the server until it is told to stop; --json prints where it is once it answers',
    example: 'serve --config suite.json',
  })
    .option(
      '--config <file>',
      'run what a verification file declares (development; docs/conformance.md)',
    )
    .action(async (options: { json?: true; config?: string }) => {
      // The engine and the pages take as long to load as all other commands together.
      const { runServer } = await import('../startup/run-server.ts');
      const isJson = options.json === true;
      const exitCode = await runServer(shell.environment, {
        ...(options.config === undefined ? {} : { verificationFile: options.config }),
        log: isJson ? shell.errors : shell.output,
        errors: shell.errors,
        announce(text) {
          if (!isJson) shell.output.write(text);
        },
        onReady({ issuer, mtlsOrigin }) {
          if (isJson) print(shell, options, { json: { issuer, mtlsOrigin }, text: '' });
        },
      });
      onExit(exitCode);
    });
}
