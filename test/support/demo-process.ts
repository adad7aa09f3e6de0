import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort } from './free-port.ts';
import { temporaryDirectory } from './temporary-directory.ts';
import type { TemporaryDirectory } from './temporary-directory.ts';

const repository = fileURLToPath(new URL('../../', import.meta.url));

/** A place where nothing was started before: empty folders and free ports. */
export interface EmptyPlace {
  environment: NodeJS.ProcessEnv;
  keysDirectory: string;
  operationsOrigin: string;
  directory: TemporaryDirectory;
}

/** Makes the settings of such a place. */
export async function emptyPlace(): Promise<EmptyPlace> {
  const directory = await temporaryDirectory();
  const [port, mtlsPort, operationsPort] = await Promise.all([freePort(), freePort(), freePort()]);
  const keysDirectory = path.join(directory.path, 'keys');
  return {
    directory,
    keysDirectory,
    operationsOrigin: `http://127.0.0.1:${String(operationsPort)}`,
    environment: {
      ...process.env,
      COUNTERSIGN_KEYS_DIRECTORY: keysDirectory,
      COUNTERSIGN_DATA_DIRECTORY: path.join(directory.path, 'data'),
      COUNTERSIGN_PORT: String(port),
      COUNTERSIGN_MTLS_PORT: String(mtlsPort),
      COUNTERSIGN_OPERATIONS_PORT: String(operationsPort),
      COUNTERSIGN_ISSUER: `https://localhost:${String(port)}`,
      COUNTERSIGN_MTLS_ORIGIN: `https://localhost:${String(mtlsPort)}`,
      COUNTERSIGN_ENV: 'development',
    },
  };
}

/** A script of the repository as a process. */
export function startScript(
  script: string,
  { environment }: Pick<EmptyPlace, 'environment'>,
  words: readonly string[] = [],
) {
  const child = spawn(process.execPath, [path.join(repository, script), ...words], {
    cwd: repository,
    env: environment,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let errors = '';
  const written = child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  const ended = once(child, 'close') as Promise<[number | null]>;
  return {
    /** What it wrote, and its exit code. */
    async end() {
      const [exitCode] = await ended;
      return { exitCode, output, errors };
    },
    output: () => output,
    /** Waits until it has written this; the caller's test timeout is the limit. */
    async untilOutput(pattern: RegExp) {
      while (!pattern.test(output)) await once(written, 'data');
    },
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

/** Whether the server of a place serves. */
export async function isReady({ operationsOrigin }: EmptyPlace): Promise<boolean> {
  try {
    return (await fetch(`${operationsOrigin}/readyz`)).ok;
  } catch {
    return false;
  }
}

/** Waits until it does; the caller's test timeout is the limit. */
export async function untilReady(place: EmptyPlace): Promise<void> {
  while (!(await isReady(place))) await wait(50);
}
