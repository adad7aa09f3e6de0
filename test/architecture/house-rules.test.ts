import { beforeAll, describe, expect, it } from 'vitest';
import ts from 'typescript';
import { repositoryFiles, sourceFiles, textOf } from './repository-files.ts';

interface File {
  file: string;
  text: string;
}

const codeFolders = /^(?:src|test|tools|examples|bench)\//u;
const isCode = ({ file }: File) => codeFolders.test(file) && /\.[cm]?[jt]s$/u.test(file);
const isText = (file: string) => !/\.(?:png|jpg|ico|woff2|p12|der)$/u.test(file);
const names = (files: readonly File[]) => files.map(({ file }) => file);

async function read(files: readonly string[]): Promise<File[]> {
  return Promise.all(files.map(async (file) => ({ file, text: await textOf(file) })));
}

/** `file: line` of every line that `matches`. */
function linesOf(files: readonly File[], matches: (line: string) => boolean): string[] {
  return files.flatMap(({ file, text }) =>
    text
      .split('\n')
      .filter(matches)
      .map((line) => `${file}: ${line.trim()}`),
  );
}

/** In two parts, so that this file does not find itself. */
const disabling = ['eslint', 'disable'].join('-');

/** Whether a module says nothing of its own. */
function isBarrel({ file, text }: File): boolean {
  const { statements } = ts.createSourceFile(file, text, ts.ScriptTarget.Latest);
  return statements.every(
    (statement) => ts.isExportDeclaration(statement) || ts.isImportDeclaration(statement),
  );
}

/** The value below which `share` of the sorted numbers lie. */
function percentile(numbers: readonly number[], share: number): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length * share)] ?? 0;
}

describe('the sources', () => {
  let source: File[];
  let committed: File[];

  beforeAll(async () => {
    source = await read(await sourceFiles());
    committed = await read((await repositoryFiles()).filter(isText));
  });

  it('are all looked at', () => {
    expect(source.length).toBeGreaterThan(40);
    expect(committed.filter(isCode).length).toBeGreaterThan(source.length);
    expect(names(committed)).toEqual(expect.arrayContaining(['package.json', 'src/README.md']));
  });

  it('are small files', () => {
    const lines = source.map(({ text }) => text.trimEnd().split('\n').length);
    expect(percentile(lines, 0.5)).toBeLessThan(90);
    expect(percentile(lines, 0.9)).toBeLessThan(220);
  });

  it('leave nothing for later', () => {
    const marker = new RegExp(
      `\\b(?:${['TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X'].join('|')})\\b`,
      'u',
    );
    expect(linesOf(committed.filter(isCode), (line) => marker.test(line))).toEqual([]);
  });

  it('have no barrel files', () => {
    expect(names(source.filter(isBarrel))).toEqual([]);
  });

  it('say why a lint rule is off', () => {
    const unexplained = (line: string) =>
      line.includes(disabling) && !new RegExp(`${disabling}.* -- \\S.{9,}`, 'u').test(line);
    expect(linesOf(committed.filter(isCode), unexplained)).toEqual([]);
  });

  it('never lift the caps on size and complexity', () => {
    const lifted = (line: string) =>
      line.includes(disabling) && /max-lines|max-params|complexity/u.test(line);
    expect(linesOf(committed.filter(isCode), lifted)).toEqual([]);
  });

  it('name no folder of the machine they were written on', () => {
    const homes = ['work', 'root', 'home', 'Users'].join('|');
    const local = new RegExp(`(?<![\\w.*~}-])/(?:${homes})/\\w`, 'u');
    expect(linesOf(committed, (line) => local.test(line))).toEqual([]);
  });
});

describe('a barrel', () => {
  it('is a module of re-exports, and not one that adds something', () => {
    const text = "import { a } from './a.ts';\nexport { a };\nexport * from './b.ts';\n";
    expect(isBarrel({ file: 'index.ts', text })).toBe(true);
    expect(isBarrel({ file: 'index.ts', text: `${text}export const c = a;\n` })).toBe(false);
  });
});
