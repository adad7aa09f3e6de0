// npm 10, which comes with Node 20, removes node_modules/.bin/node again: several packages bring a program of that name,
// one a platform, and it takes the link away with those of the other platforms. npm 11 leaves it.
import { existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Links the Node that npm brought for this platform into node_modules/.bin, unless it is there already or none came.
 * @param {string} root the checkout
 * @returns {boolean} whether a link was made
 */
export function linkNode(root) {
  if (process.platform === 'win32') return false;
  const name = `node-${process.platform}-${process.arch}`;
  const folder = join(root, 'node_modules', '.bin');
  const link = join(folder, 'node');
  if (existsSync(link) || !existsSync(join(root, 'node_modules', name, 'bin', 'node')))
    return false;
  mkdirSync(folder, { recursive: true });
  symlinkSync(join('..', name, 'bin', 'node'), link);
  return true;
}
