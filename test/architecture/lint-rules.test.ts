import { ESLint } from 'eslint';
import { describe, expect, it } from 'vitest';
import { root } from './repository-files.ts';

const eslint = new ESLint({ cwd: root });

/** The rules that `text` breaks where `file` stands; the file itself stays as it is. */
async function brokenRules(file: string, text: string): Promise<(string | null)[]> {
  const [result] = await eslint.lintText(`${text}\n`, { filePath: file });
  return (result?.messages ?? []).map(({ ruleId }) => ruleId);
}

const environment = 'export const level = process.env.LEVEL;';
const request = "export const answer = await fetch('https://bank.example');";
const present = 'export const now = Date.now();';
const today = 'export const now = new Date();';

const syntax = 'no-restricted-syntax';

describe('in src', () => {
  it.each([
    ['the environment', environment, syntax],
    ['the environment by index', "export const level = process['env'];", syntax],
    ['the environment by pattern', 'export const { env } = process;', syntax],
    ['the environment by import', "import process from 'node:process';\nvoid process;", syntax],
    ['the network', request, 'no-restricted-globals'],
    ['the network by globalThis', 'export const { body } = await globalThis.fetch("");', syntax],
    ['the network by undici', "import { request } from 'undici';\nvoid request;", syntax],
    ['the time', present, syntax],
    ['the time by function', 'export const clock = Date.now;', syntax],
    ['the time by constructor', today, syntax],
    ['the time as text', 'export const now = Date();', syntax],
    ['a default export', 'export default 1;', 'no-restricted-exports'],
    ['a bare module of Node', "import 'fs';", 'n/prefer-node-protocol'],
    ['an unused suppression', ['// eslint', 'disable-next-line eqeqeq'].join('-'), null],
  ])('%s is out of bounds', async (_what, text, rule) => {
    expect(await brokenRules('src/problem.ts', text)).toContain(rule);
  });

  it('a moment that is given is not', async () => {
    const text = 'export const epoch = new Date(0);';
    expect(await brokenRules('src/problem.ts', text)).toEqual([]);
  });

  it('clock.ts reads the time, and neither environment nor network', async () => {
    expect(await brokenRules('src/clock.ts', today)).toEqual([]);
    expect(await brokenRules('src/clock.ts', environment)).toContain(syntax);
    expect(await brokenRules('src/clock.ts', request)).toContain('no-restricted-globals');
  });
});

describe('the caps', () => {
  const body = (lines: number) => `export function f() {\n${'  void 0;\n'.repeat(lines)}}`;

  it.each([
    ['lines of a file', 'void 0;\n'.repeat(301), 'max-lines'],
    ['lines of a function', body(60), 'max-lines-per-function'],
    [
      'parameters',
      'export function f(a: 1, b: 1, c: 1, d: 1) {\n  return [a, b, c, d];\n}',
      '@typescript-eslint/max-params',
    ],
    [
      'branches',
      `export function f(a: number) {\n${'  if (a > 1) return 1;\n'.repeat(10)}  return 2;\n}`,
      'complexity',
    ],
  ])('hold for %s', async (_what, text, rule) => {
    expect(await brokenRules('src/problem.ts', text)).toContain(rule);
  });
});
