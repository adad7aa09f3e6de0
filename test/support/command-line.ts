import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { randomBytes } from 'node:crypto';
import { compileCache } from './compile-cache.ts';
import type { AuthorizationServer } from './server.ts';
import { temporaryDirectory } from './temporary-directory.ts';

const program = path.resolve(import.meta.dirname, '../../src/cli/index.ts');

/** What a command did. */
export interface CommandResult {
  exitCode: number | null;
  output: string;
  errors: string;
  /** The one document of `--json`; throws when the output is anything else. */
  json: () => Record<string, unknown>;
}

/** The real command line as child processes. */
export interface CommandLine {
  environment: Readonly<Record<string, string>>;
  keysDirectory: string;
  /** Runs `countersign …words`, with `input` on its standard input, until it ends; `more` is environment. */
  run(
    words: readonly string[],
    input?: string,
    more?: Readonly<Record<string, string>>,
  ): Promise<CommandResult>;
  /** Starts a command that goes on; end it yourself. */
  start(words: readonly string[]): ChildProcess;
  remove(): Promise<void>;
}

/** A command line with this environment, nothing else of ours, and data and keys folders of its own. */
export async function commandLine(
  variables: Readonly<Record<string, string>> = {},
): Promise<CommandLine> {
  const directory = await temporaryDirectory();
  const keysDirectory = path.join(directory.path, 'keys');
  const environment = {
    PATH: process.env['PATH'] ?? '',
    HOME: directory.path,
    COUNTERSIGN_KEYS_DIRECTORY: keysDirectory,
    COUNTERSIGN_DATA_DIRECTORY: path.join(directory.path, 'data'),
    COUNTERSIGN_ARGON2_MEMORY: '7168', // the least allowed: these tests are not about the cost
    COUNTERSIGN_ARGON2_PASSES: '1',
    ...variables,
  };
  const start = (words: readonly string[], more: Readonly<Record<string, string>> = {}) =>
    spawn(process.execPath, [program, ...words], {
      env: { NODE_COMPILE_CACHE: compileCache, ...environment, ...more },
      cwd: directory.path,
    });
  return {
    environment,
    keysDirectory,
    start,
    async run(words, input = '', more = {}) {
      const child = start(words, more);
      const ended = new Promise<number | null>((resolve, reject) => {
        child.once('error', reject).once('close', resolve);
      });
      child.stdin.on('error', () => undefined); // a command that asks for nothing may be gone by now
      child.stdin.end(input);
      const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr)]);
      const json = () => JSON.parse(output) as Record<string, unknown>;
      return { exitCode: await ended, output, errors, json };
    },
    remove: () => directory.remove(),
  };
}

/** A command line on the database of a test server, with its keys. */
export function commandLineBeside(server: AuthorizationServer): Promise<CommandLine> {
  const { digestKey, encryptionKeys, masterKeys } = server.material;
  return commandLine({
    DATABASE_URL: server.database.connectionString,
    COUNTERSIGN_DIGEST_KEY: digestKey.toString('base64url'),
    COUNTERSIGN_ENCRYPTION_KEYS: encryptionKeys.map((key) => key.toString('base64url')).join(','),
    COUNTERSIGN_MASTER_KEYS: masterKeys.map((key) => key.toString('base64url')).join(','),
  });
}

/** A command line on a database where nothing runs. */
export function commandLineOn(database: { connectionString: string }): Promise<CommandLine> {
  return commandLine({
    DATABASE_URL: database.connectionString,
    COUNTERSIGN_DIGEST_KEY: randomBytes(32).toString('base64url'),
    COUNTERSIGN_ENCRYPTION_KEYS: randomBytes(32).toString('base64url'),
    COUNTERSIGN_MASTER_KEYS: randomBytes(32).toString('base64url'),
  });
}
