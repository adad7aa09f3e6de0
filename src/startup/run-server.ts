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
import type { RunningServer } from './server.ts';
import { readVerification, verificationProblems } from './verification.ts';

/** sysexits.h: a configuration error, which a supervisor can't cure by starting again. */
const configurationExit = 78;

/** Where a server process writes, and what else it is told. */
export interface ServerOutput {
  /** Lines of the log. */
  log: NodeJS.WritableStream;
  /** Why it does not start, or did not stop as it should. */
  errors: NodeJS.WritableStream;
  /** What development tells the person at the terminal. */
  announce: (text: string) => void;
  /** Told once, when the server answers. */
  onReady?(configuration: Configuration): void;
  /** The file of `serve --config`. */
  verificationFile?: string;
}

/**
 * The whole life of a server process: reads the configuration, serves until SIGTERM or SIGINT, lets running requests
 * finish. Resolves to the exit code: 0, 1 for a failure, 78 for a configuration error.
 */
export async function runServer(environment: Environment, output: ServerOutput): Promise<number> {
  try {
    const { server, logger } = await start(environment, output);
    await signalled();
    logger.info('stopping');
    return await stop(server, { logger, output });
  } catch (error) {
    output.errors.write(`${explain(error)}\n`);
    return error instanceof Refusal ? configurationExit : 1;
  }
}

async function start(
  given: Environment,
  output: ServerOutput,
): Promise<{ server: RunningServer; logger: Logger }> {
  const { verificationFile: file } = output;
  const { environment, verification } =
    file === undefined
      ? { environment: given, verification: undefined }
      : readVerification(file, given);
  const loaded = loadConfiguration(environment);
  const problems = [
    ...(await configurationProblems(environment, systemClock)),
    ...(verification !== undefined && loaded.ok
      ? await verificationProblems(verification, loaded.configuration)
      : []),
  ];
  if (!loaded.ok || problems.length > 0) throw new Refusal(problems);
  const { configuration } = loaded;
  const logger = loggerFor(configuration, output.log);
  process.on('unhandledRejection', (error) => {
    logger.error('unhandled rejection', { error });
  });
  const server = await serveConfigured(configuration, {
    logger,
    announce: output.announce,
    verification,
    reread: () => reread(environment),
  });
  // A developer's closed terminal sends it too, and must end the server as ever.
  if (configuration.environment === 'production') {
    process.on('SIGHUP', () => {
      server.reload();
    });
  }
  output.onReady?.(configuration);
  return { server, logger };
}

function reread(environment: Environment): Configuration {
  const loaded = loadConfiguration(environment);
  if (loaded.ok) return loaded.configuration;
  throw new Refusal(loaded.problems);
}

async function stop(
  server: Pick<RunningServer, 'stop'>,
  { logger, output }: { logger: Logger; output: ServerOutput },
): Promise<number> {
  try {
    await server.stop();
    return 0;
  } catch (error) {
    logger.error('The server did not stop as it should', { error });
    output.errors.write(`Countersign did not stop as it should: ${wordsOf(error)}\n`);
    return 1;
  }
}

function loggerFor(configuration: Configuration, destination: NodeJS.WritableStream): Logger {
  const { logLevel, logFormat, environment } = configuration;
  const format = logFormat ?? (environment === 'production' ? 'json' : 'text');
  return createLogger({ level: logLevel, format, destination, gatherMs: 5 });
}

const signals = ['SIGTERM', 'SIGINT'] as const;

/** Resolves at the first signal; nobody listens to a second one, of either kind, so it ends the process at once. */
function signalled(): Promise<void> {
  return new Promise((resolve) => {
    const onSignal = (): void => {
      for (const signal of signals) process.off(signal, onSignal);
      resolve();
    };
    for (const signal of signals) process.on(signal, onSignal);
  });
}

/** What the person at the terminal reads when the server does not start. */
function explain(error: unknown): string {
  if (error instanceof Refusal) {
    const lines = error.problems.map((line) => `  - ${line}`);
    return ['Countersign does not start:', ...lines].join('\n');
  }
  if (error instanceof Problem && error.code === 'already_running') {
    return `${error.message}\nIf Countersign is already running, use that one; else stop the other program or set COUNTERSIGN_PORT, COUNTERSIGN_MTLS_PORT and COUNTERSIGN_OPERATIONS_PORT (with --config: issuer, mtlsOrigin and listen in that file).`;
  }
  if (error instanceof Problem) return `Countersign does not start: ${error.message}`;
  return `Countersign does not start: ${wordsOf(error)}`;
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
