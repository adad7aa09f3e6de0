import { loadConfiguration } from './config/load.ts';
import { createLogger } from './observability/logger.ts';
import { Problem } from './problem.ts';
import { Refusal } from './startup/material.ts';
import { serveConfigured } from './startup/serve.ts';

/** sysexits.h: a configuration error, which a supervisor can't cure by starting again. */
const configurationExit = 78;

async function main(): Promise<void> {
  const loaded = loadConfiguration(process.env);
  if (!loaded.ok) throw new Refusal(loaded.problems);
  const { configuration } = loaded;
  const { logLevel, logFormat, environment } = configuration;
  const format = logFormat ?? (environment === 'production' ? 'json' : 'text');
  const logger = createLogger({ level: logLevel, format });
  process.on('unhandledRejection', (error) => {
    logger.error('unhandled rejection', { error });
  });
  const server = await serveConfigured(configuration, logger, (text) => {
    process.stdout.write(text);
  });
  await signalled();
  logger.info('stopping');
  await server.stop();
}

/** Resolves at the first signal; a second one ends the process at once. */
function signalled(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const)
      process.once(signal, () => {
        resolve();
      });
  });
}

/** What the person at the terminal reads when the server does not start. */
function explain(error: unknown): string {
  if (error instanceof Refusal) {
    return ['Countersign does not start:', ...error.problems.map((line) => `  - ${line}`)].join(
      '\n',
    );
  }
  if (error instanceof Problem && error.code === 'already_running') {
    return `${error.message}\nIf Countersign is already running, use that one; else stop the other program or set COUNTERSIGN_PORT, COUNTERSIGN_MTLS_PORT and COUNTERSIGN_OPERATIONS_PORT.`;
  }
  if (error instanceof Problem) return `Countersign does not start: ${error.message}`;
  return `Countersign does not start: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${explain(error)}\n`);
  process.exitCode = error instanceof Refusal ? configurationExit : 1;
}
