import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const page = readFileSync('docs/profiles.md', 'utf8');

/** Rows of the tables that go line by line. */
const rows = page
  .split('\n')
  .map((line) => line.split('|').map((cell) => cell.trim()))
  .filter((cells) => cells.length === 6 && /^(?:\d|RFC)/.test(cells[1] ?? ''))
  .map(([, line = '', , where = '', proof = '']) => ({ line, where, proof }));

const numbered = (prefix: string, count: number) =>
  Array.from({ length: count }, (_, index) => `${prefix}${String(index + 1)}`);

describe('docs/profiles.md', () => {
  it('has every line of the three documents once', () => {
    expect(rows.map(({ line }) => line)).toEqual([
      ...numbered('5.2 N', 7),
      ...numbered('5.3.2.1-', 14),
      ...numbered('5.3.2.2-', 14),
      '5.3.2.3',
      '5.3.4',
      ...numbered('5.4 C', 7),
      ...numbered('5.3.1-', 5),
      '5.3.3',
      '5.4.1-1',
      '5.5.1-1',
      '5.6',
      '6.2',
      '7',
      ...numbered('RFC 9700-', 21),
    ]);
  });

  it.each(rows.filter(({ proof }) => proof !== ''))('names the test of $line', ({ proof }) => {
    const [file = '', label = ''] = proof.split(/: (.*)/s);
    const source = readFileSync(`test/flows/${file}.test.ts`, 'utf8');
    expect(source).toContain(`'${label}`); // the beginning of a title
  });

  it('says elsewhere why a line has none', () => {
    const divergences = readFileSync('docs/divergences.md', 'utf8');
    const without = rows.filter(({ proof }) => proof === '').map(({ line }) => line);
    expect(without).toEqual(['5.2 N2', '5.2 N3']);
    for (const line of without) expect(divergences).toContain(`FAPI 2.0 ${line}`);
  });

  it('names files that exist', () => {
    const files = rows.flatMap(({ where }) => where.match(/(?:[\w-]+\/)+[\w-]+\.ts/g) ?? []);
    expect(files.filter((file) => !existsSync(`src/${file}`))).toEqual([]);
    expect(files.length).toBeGreaterThan(50);
  });
});
