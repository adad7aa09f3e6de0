// Run by npm after an installation. What it can't do because a tool is not installed (--omit=dev) it leaves out; only a
// schema that can't be generated fails the installation.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { linkNode } from './link-node.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const require = createRequire(import.meta.url);

/** Path of a tool's script, or undefined where the tool is not installed. */
function script(name) {
  try {
    return require.resolve(name);
  } catch {
    return undefined;
  }
}

/** Runs a script with this Node; its output is shown only when it fails. */
function run(path, ...args) {
  const result = spawnSync(process.execPath, [path, ...args], { cwd: root, encoding: 'utf8' });
  if (result.status !== 0) process.stderr.write(`${result.stdout ?? ''}${result.stderr ?? ''}`);
  return result.status === 0;
}

linkNode(root);

const prisma = script('prisma/build/index.js');
if (prisma !== undefined && !run(prisma, 'generate')) process.exitCode = 1;

// The hooks are a convenience: that they can't be installed is no reason to fail.
const lefthook = script('lefthook/bin/index.js');
const inCheckout = existsSync(new URL('../.git', import.meta.url));
if (lefthook !== undefined && inCheckout && !process.env.CI) run(lefthook, 'install');
