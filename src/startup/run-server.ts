import { systemClock } from '../clock.ts';
import { loadConfiguration } from '../config/load.ts';
import type { Environment } from '../config/load.ts';
import type { Configuration } from '../config/schema.ts';
import { createLogger } from '../observability/logger.ts';
import type { Logger } from '../observability/logger.ts';
import { Problem } from '../problem.ts';
import { configurationProblems } from './configuration-problems.ts';
import { Refusal } from './material.ts';
import { serveConfigured } from './serve.ts';

/** sysexits.h: a configuration error, which a supervisor can't cure by starting again. */
const configurationExit = 78;

/** Where a server process writes. */
export interface ServerOutput {
  /** Lines of the log. */
  log: NodeJS.WritableStream;
  /** Why it does not start. */
  errors: NodeJS.WritableStream;
  /** What development tells the person at the terminal. */
  announce: (text: string) => void;
  /** Told once, when the server answers. */
  onReady?(configuration: Configuration): void;
}

/**
 * The whole life of a server process: reads the configuration, serves until SIGTERM or SIGINT, lets running requests
 * finish. Resolves to the exit code: 0, 1 for a failure, 78 for a configuration error.
 */
export async function runServer(environment: Environment, output: ServerOutput): Promise<number> {
  try {
    await serveUntilSignalled(environment, output);
    return 0;
  } catch (error) {
    output.errors.write(`${explain(error)}\n`);
    return error instanceof Refusal ? configurationExit : 1;
  }
}

async function serveUntilSignalled(environment: Environment, output: ServerOutput): Promise<void> {
  const loaded = loadConfiguration(environment);
  const problems = await configurationProblems(environment, systemClock);
  if (!loaded.ok || problems.length > 0) throw new Refusal(problems);
  const { configuration } = loaded;
  const logger = loggerFor(configuration, output.log);
  process.on('unhandledRejection', (error) => {
    logger.error('unhandled rejection', { error });
  });
  const server = await serveConfigured(configuration, logger, output.announce);
  output.onReady?.(configuration);
  await signalled();
  logger.info('stopping');
  await server.stop();
}

function loggerFor(configuration: Configuration, destination: NodeJS.WritableStream): Logger {
  const { logLevel, logFormat, environment } = configuration;
  const format = logFormat ?? (environment === 'production' ? 'json' : 'text');
  return createLogger({ level: logLevel, format, destination });
}

/** Resolves at the first signal; a second one ends the process at once. */
function signalled(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.once(signal, () => {
        resolve();
      });
    }
  });
}

/** What the person at the terminal reads when the server does not start. */
function explain(error: unknown): string {
  if (error instanceof Refusal) {
    const lines = error.problems.map((line) => `  - ${line}`);
    return ['Countersign does not start:', ...lines].join('\n');
  }
  if (error instanceof Problem && error.code === 'already_running') {
    return `${error.message}\nIf Countersign is already running, use that one; else stop the other program or set COUNTERSIGN_PORT, COUNTERSIGN_MTLS_PORT and COUNTERSIGN_OPERATIONS_PORT.`;
  }
  if (error instanceof Problem) return `Countersign does not start: ${error.message}`;
  return `Countersign does not start: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
}
