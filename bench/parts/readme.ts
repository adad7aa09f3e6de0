import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

const readme = path.resolve(import.meta.dirname, '../README.md');
const endOfNumbers = '<!-- end of numbers -->';

/** Replaces the numbers in bench/README.md that `command` has written. Throws where there is no place for them. */
export async function updateReadme(command: string, numbers: string): Promise<void> {
  const text = await readFile(readme, 'utf8');
  const beginOfNumbers = `<!-- numbers: ${command} -->\n`;
  const begin = text.indexOf(beginOfNumbers) + beginOfNumbers.length;
  const end = text.indexOf(endOfNumbers, begin);
  if (begin < beginOfNumbers.length || end < begin) {
    throw new Error(`no place for numbers in ${readme}`);
  }
  await writeFile(readme, `${text.slice(0, begin)}\n${numbers.trim()}\n\n${text.slice(end)}`);
}
