import { userInfo } from 'node:os';
import type { Clock } from '../clock.ts';
import type { Environment } from '../config/load.ts';

/** What a command gets from the process that it runs in. */
export interface Shell {
  environment: Environment;
  input: NodeJS.ReadStream;
  output: NodeJS.WritableStream;
  /** Errors, questions and the log: everything that is not the answer. */
  errors: NodeJS.WritableStream;
  clock: Clock;
}

/** Who runs the command, for the audit trail; a container's user often has no name. */
export function operatorName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${String(process.getuid?.() ?? 'unknown')}`;
  }
}
