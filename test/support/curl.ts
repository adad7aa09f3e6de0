import { execFile, spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { TemporaryDirectory } from './temporary-directory.ts';

const run = promisify(execFile);
const standIn = fileURLToPath(new URL('./curl-stand-in.ts', import.meta.url));
const hasCurl = spawnSync('curl', ['--version']).status === 0;

/** The environment in which `curl` is found: where there is none, a stand-in for it. */
export function withCurl(
  { path: folder }: TemporaryDirectory,
  environment: NodeJS.ProcessEnv,
): NodeJS.ProcessEnv {
  if (hasCurl) return environment;
  const bin = path.join(folder, 'bin');
  mkdirSync(bin, { recursive: true });
  const script = `#!/bin/sh\nexec '${process.execPath}' '${standIn}' "$@"\n`;
  writeFileSync(path.join(bin, 'curl'), script, { mode: 0o755 });
  return { ...environment, PATH: `${bin}:${environment['PATH'] ?? ''}` };
}

/** Runs a command of ours exactly as it stands, in a shell; the output. Where there is no curl, a stand-in for it. */
export async function paste(
  command: string,
  directory: TemporaryDirectory,
  {
    cwd = directory.path,
    environment = process.env,
  }: { cwd?: string; environment?: NodeJS.ProcessEnv } = {},
): Promise<string> {
  const env = withCurl(directory, environment);
  return (await run('sh', ['-c', command], { env, cwd })).stdout;
}
