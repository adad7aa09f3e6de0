import { inspect } from 'node:util';

/** A command's answer: the same facts for a program and for a person. */
export interface Answer {
  /** The one JSON document of `--json`; its members are kept stable. */
  json: Record<string, unknown>;
  text: string;
}

/** Columns as wide as their widest cell; a sentence when there are no rows. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return 'There are none.';
  const lines = [header, ...rows].map((cells) => cells.map(printable));
  const widths = header.map((_, column) =>
    Math.max(...lines.map((cells) => (cells[column] ?? '').length)),
  );
  return lines
    .map((cells) =>
      cells
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** One name and value a line; absent values are left out. */
export function fields(values: Readonly<Record<string, unknown>>): string {
  const present = Object.entries(values).filter(([, value]) => value !== undefined);
  const width = Math.max(...present.map(([name]) => name.length));
  return present.map(([name, value]) => `${name.padEnd(width)}  ${textOf(value)}`).join('\n');
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return printable(value);
  if (Array.isArray(value)) return value.map(textOf).join(', ');
  if (value instanceof Date) return value.toISOString();
  if (typeof value === 'object' && value !== null) return printable(JSON.stringify(value));
  return inspect(value);
}

/** What nobody sees or what moves a cursor: controls, direction marks, widthless and tag characters. */
const unseen = /[\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}\p{Zl}\p{Zp}]/gu;

/** What somebody registered must not move the operator's cursor, nor hide in what the operator copies. */
export function printable(text: string): string {
  return text.replace(unseen, '\uFFFD');
}

/** The document of `--json`: it says the same as the plain one, but shows nothing that can't be seen. */
export function jsonText(value: Readonly<Record<string, unknown>>): string {
  // Line ends stand between members only: within strings JSON escapes them itself.
  return JSON.stringify(value, null, 2).replace(unseen, (character) =>
    character === '\n' ? character : escaped(character),
  );
}

/** In units of UTF-16, as JSON escapes (RFC 8259 §7). */
function escaped(character: string): string {
  return character
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('');
}

/** At most so many characters of what others say. */
export function shortened(text: string, maxLength: number): string {
  const characters = Array.from(text);
  if (characters.length <= maxLength) return text;
  return `${characters.slice(0, maxLength - 1).join('')}…`;
}
