import { readFile } from 'node:fs/promises';
import { buffer, text } from 'node:stream/consumers';
import { InvalidArgumentError } from 'commander';
import { UsageError } from './failure.ts';
import type { Shell } from './shell.ts';

/** The text of a file, or of the standard input for `-`. */
export async function readInput({ input }: Pick<Shell, 'input'>, file: string): Promise<string> {
  if (file === '-') return text(input);
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new UsageError(`${file} can't be read: ${reasonOf(error)}.`);
  }
}

/** The bytes of a file, or of the standard input for `-`. */
export async function readBytes({ input }: Pick<Shell, 'input'>, file: string): Promise<Buffer> {
  if (file === '-') return buffer(input);
  try {
    return await readFile(file);
  } catch (error) {
    throw new UsageError(`${file} can't be read: ${reasonOf(error)}.`);
  }
}

/** The JSON object in a file, or on the standard input for `-`. */
export async function readJsonInput(
  shell: Pick<Shell, 'input'>,
  file: string,
): Promise<Record<string, unknown>> {
  const content = await readInput(shell, file);
  const value = parsed(content);
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw new UsageError(`${file === '-' ? 'The standard input' : file} holds no JSON object.`);
}

function parsed(content: string): unknown {
  try {
    return JSON.parse(content);
  } catch {
    return undefined;
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** For commander: a whole number from `min` to `max`. */
export function wholeNumber(min: number, max: number): (value: string) => number {
  return (value) => {
    const number = Number(value);
    if (/^\d{1,9}$/.test(value) && number >= min && number <= max) return number;
    throw new InvalidArgumentError(
      `It must be a whole number from ${String(min)} to ${String(max)}.`,
    );
  };
}

/** For commander: `scope=sentence`, collected. */
export function scopeSentence(
  value: string,
  previous: Record<string, string> = {},
): Record<string, string> {
  const [scope = '', ...sentence] = value.split('=');
  if (scope !== '' && sentence.length > 0) return { ...previous, [scope]: sentence.join('=') };
  throw new InvalidArgumentError('It must be a scope, an equals sign, and what a customer reads.');
}
