import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const run = promisify(execFile);
const root = path.resolve(import.meta.dirname, '../..');

const script = `
import { getCompileCacheDir } from 'node:module';
import { keepCompiledCode } from './src/startup/compile-cache.ts';
keepCompiledCode();
process.stdout.write(getCompileCacheDir() ?? 'nowhere');
`;

/** The folder in which a new process keeps what it compiles. */
async function folderOf(environment: Record<string, string>): Promise<string> {
  const words = ['--input-type=module', '--eval', script];
  return (await run(process.execPath, words, { cwd: root, env: environment })).stdout;
}

describe('What Node compiles', () => {
  it('is kept beside the packages, where nobody writes who could not replace these', async () => {
    const kept = path.join(root, 'node_modules', '.countersign');
    expect(path.dirname(await folderOf({}))).toBe(kept);
  });

  it('is kept nowhere when the environment says so', async () => {
    expect(await folderOf({ NODE_DISABLE_COMPILE_CACHE: '1' })).toBe('nowhere');
  });
});
