import { readFileSync } from 'node:fs';
import { Problem } from '../problem.ts';

/** What a file has, unchecked. Problem('configuration_invalid') where it is not there, may not be read or is no JSON. */
export function readJsonFile(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    const detail = `${file} ${cause instanceof SyntaxError ? 'is no JSON' : reasonOf(cause)}`;
    throw new Problem('configuration_invalid', { detail, cause });
  }
}

function reasonOf(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  return code === 'ENOENT' ? 'is not there' : "can't be read";
}
