import { Problem } from '../problem.ts';

/** What a JSON text may be. */
export interface JsonLimits {
  /** Objects and arrays within one another, the outermost counted. */
  maxDepth: number;
}

const token = /"(?:[^"\\]|\\.)*"|[{}[\]]/gsu;

/**
 * Parses a JSON object that comes from outside. Refused beyond what JSON.parse refuses: anything but an object, deeper
 * nesting than allowed, a member that occurs twice (RFC 8259 §4: parsers disagree about which one counts), and U+0000
 * and lone surrogates, which PostgreSQL can't store. Problem('invalid_request').
 */
export function parseJsonObject(text: string, { maxDepth }: JsonLimits): Record<string, unknown> {
  const value = parse(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw refused('it is not an object');
  }
  checkStructure(text, maxDepth);
  return value as Record<string, unknown>;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Problem('invalid_request', { detail: 'the JSON cannot be read', cause });
  }
}

/** Walks over the tokens of a text that is known to be JSON. */
function checkStructure(text: string, maxDepth: number): void {
  /** The names in each open object; undefined for an array. */
  const open: (Set<string> | undefined)[] = [];
  for (const { 0: found, index } of text.matchAll(token)) {
    if (found === '{' || found === '[') {
      open.push(found === '{' ? new Set() : undefined);
      if (open.length > maxDepth) throw refused(`it is nested deeper than ${String(maxDepth)}`);
    } else if (found === '}' || found === ']') {
      open.pop();
    } else {
      checkString(found, isName(text, index + found.length) ? open.at(-1) : undefined);
    }
  }
}

const colon = /\s*:/uy;

function isName(text: string, end: number): boolean {
  colon.lastIndex = end;
  return colon.test(text);
}

function checkString(quoted: string, names: Set<string> | undefined): void {
  const value = JSON.parse(quoted) as string;
  if (value.includes('\0')) throw refused('a text in it has U+0000');
  if (!value.isWellFormed()) throw refused('a text in it has a lone surrogate');
  if (names === undefined) return;
  if (names.has(value))
    throw refused(`the member ${JSON.stringify(value.slice(0, 50))} is in it twice`);
  names.add(value);
}

function refused(why: string): Problem {
  return new Problem('invalid_request', { detail: `the JSON is refused: ${why}` });
}
