import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { root, sourceFiles } from './repository-files.ts';

/** Folders of src that hold something hand-written. */
function foldersOf(files: readonly string[]): string[] {
  const folders = files.map((file) => path.posix.dirname(file)).filter((name) => name !== 'src');
  return [...new Set(folders)].map((name) => name.slice('src/'.length)).sort();
}

const map = await readFile(path.join(root, 'src/README.md'), 'utf8');

/** Paragraphs that begin with a folder's name, as `**`http/`** …`. */
const paragraphs = new Map(
  map
    .split(/\n{2,}/u)
    .flatMap((text) => [...text.matchAll(/^\*\*`([a-z/-]+)\/`\*\* (.+)$/gsu)])
    .map(([, name = '', text = '']) => [name, text]),
);

describe('the map of src', () => {
  it('has a paragraph for every folder and for no other', async () => {
    const folders = foldersOf(await sourceFiles());
    expect(folders).toContain('provider');
    expect([...paragraphs.keys()].sort()).toEqual(folders);
  });

  it('says something about each', () => {
    const terse = [...paragraphs].filter(([, text]) => text.length < 80).map(([name]) => name);
    expect(terse).toEqual([]);
  });

  it('tells of every file that lies in src itself', async () => {
    const entries = await readdir(path.join(root, 'src'), { withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile()).map(({ name }) => name);
    expect(files).toContain('problem.ts');
    expect(
      files.filter((name) => name !== 'README.md' && !map.includes(`**\`${name}\`**`)),
    ).toEqual([]);
  });
});
