import { execFileSync } from 'node:child_process';
import { mkdir, readlink, symlink } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { linkNode } from '../../tools/link-node.mjs';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import type { TemporaryDirectory } from '../support/temporary-directory.ts';

let directory: TemporaryDirectory;

beforeEach(async () => {
  directory = await temporaryDirectory();
});

afterEach(() => directory.remove());

const packageName = `node-${process.platform}-${process.arch}`;
const inModules = (...names: string[]) => path.join(directory.path, 'node_modules', ...names);

describe('The Node that npm brought', () => {
  it('is found by scripts also where npm left its link out', async () => {
    await mkdir(inModules(packageName, 'bin'), { recursive: true });
    await symlink(process.execPath, inModules(packageName, 'bin', 'node'));
    expect(linkNode(directory.path)).toBe(true);
    const version = execFileSync(inModules('.bin', 'node'), ['--version'], { encoding: 'utf8' });
    expect(version.trim()).toBe(process.version);
    expect(linkNode(directory.path)).toBe(false);
  });

  it('is left as npm linked it', async () => {
    await mkdir(inModules(packageName, 'bin'), { recursive: true });
    await mkdir(inModules('.bin'));
    await symlink(process.execPath, inModules(packageName, 'bin', 'node'));
    await symlink(process.execPath, inModules('.bin', 'node'));
    expect(linkNode(directory.path)).toBe(false);
    expect(await readlink(inModules('.bin', 'node'))).toBe(process.execPath);
  });

  it('is not linked where none came', () => {
    expect(linkNode(directory.path)).toBe(false);
  });
});
