import { describe, expect, it } from 'vitest';
import { jsonText, printable, shortened, table } from '../../src/cli/output.ts';

/** What can't be seen or moves a cursor, by its name. */
const unseen: [name: string, character: string][] = [
  ['escape', '\u001b'],
  ['a line end', '\n'],
  ['delete', '\u007f'],
  ['a C1 control', '\u009b'],
  ['a soft hyphen', '\u00ad'],
  ['a space without width', '\u200b'],
  ['a joiner', '\u200d'],
  ['a direction mark', '\u200f'],
  ['a line separator', '\u2028'],
  ['a paragraph separator', '\u2029'],
  ['an override of the direction', '\u202e'],
  ['a word joiner', '\u2060'],
  ['an isolate', '\u2066'],
  ['a byte order mark', '\ufeff'],
  ['a variation selector', '\ufe0f'],
  ['a filler', '\u3164'],
  ['a tag', '\u{e0041}'],
  ['a further variation selector', '\u{e0100}'],
];

describe('What others wrote', () => {
  it.each(unseen)('is printed without %s', (_name, character) => {
    expect(printable(`a${character}b`)).toBe('a\uFFFDb');
    expect(table(['NAME'], [[`a${character}b`]])).toBe('NAME\na\uFFFDb');
  });

  it.each(unseen)('is shown in JSON with %s escaped, and is the same JSON', (_name, character) => {
    const value = { [`key${character}`]: [`a${character}b`, { ok: true }], text: character };
    const text = jsonText(value);
    expect(text.replaceAll('\n', '')).not.toMatch(/[\P{ASCII}\p{Cc}]/u);
    expect(JSON.parse(text)).toEqual(value);
  });

  it('keeps its letters', () => {
    expect(printable('Zürich 銀行 🏦')).toBe('Zürich 銀行 🏦');
    expect(jsonText({ name: 'Zürich 銀行 🏦' })).toBe('{\n  "name": "Zürich 銀行 🏦"\n}');
  });

  it('is cut between characters', () => {
    expect(shortened('🏦🏦🏦', 3)).toBe('🏦🏦🏦');
    expect(shortened('🏦🏦🏦🏦', 3)).toBe('🏦🏦…');
  });
});
