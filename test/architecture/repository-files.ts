import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';

/** The folder that package.json lies in. */
export const root = path.resolve(import.meta.dirname, '../..');

const ignoredFolders = new Set([
  '.git',
  'node_modules',
  'coverage',
  'data',
  'src/database/generated',
]);

/** Local key material lies in keys/; these two are committed. */
const ignored = (file: string) =>
  ignoredFolders.has(file) ||
  /^keys\/(?!README\.md$|\.gitignore$)/u.test(file) ||
  /(?:^|\/)\.env$|\.log$/u.test(file);

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(path.join(root, folder), { withFileTypes: true });
  const found = entries
    .map((entry) => ({ entry, file: path.posix.join(folder, entry.name) }))
    .filter(({ file }) => !ignored(file))
    .map(async ({ entry, file }) => (entry.isDirectory() ? await filesBelow(file) : [file]));
  return (await Promise.all(found)).flat();
}

/**
 * Every file that is or may be committed, relative to {@link root}, with `/`. Walks the tree
 * instead of asking git, so that it also works where the sources came as an archive.
 */
export function repositoryFiles(): Promise<string[]> {
  return filesBelow('');
}

/** The hand-written modules of src. */
export async function sourceFiles(): Promise<string[]> {
  const files = await repositoryFiles();
  return files.filter((file) => file.startsWith('src/') && file.endsWith('.ts'));
}

/** The text of a file of {@link repositoryFiles}. */
export function textOf(file: string): Promise<string> {
  return readFile(path.join(root, file), 'utf8');
}
