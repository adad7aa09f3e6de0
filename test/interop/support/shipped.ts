import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const root = new URL('../../../', import.meta.url);

/** A file of the repository, such as a configuration that we ship. */
export function shippedFile(path: string): Promise<string> {
  return readFile(fileURLToPath(new URL(path, root)), 'utf8');
}

/** A shipped text with its example values replaced; each of them must be in there. */
export function adapted(
  text: string,
  replacements: readonly (readonly [string, string])[],
): string {
  let result = text;
  for (const [example, value] of replacements) {
    if (!result.includes(example)) throw new Error(`the shipped text has no ${example}`);
    result = result.replaceAll(example, value);
  }
  return result;
}
