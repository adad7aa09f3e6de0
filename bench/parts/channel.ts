import { fork } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';

/** What one process may ask another over IPC: a name, one argument, one answer. */
type Argument<Call> = Call extends (argument: infer A) => unknown ? A : never;
type Result<Call> = Call extends (argument: never) => infer R ? Awaited<R> : never;

/** A process that this one started. */
export interface Child<Calls> {
  call<Name extends keyof Calls & string>(
    name: Name,
    argument: Argument<Calls[Name]>,
  ): Promise<Result<Calls[Name]>>;
  /** Ends it by SIGTERM and waits for the end. */
  stop(): Promise<void>;
}

interface Question {
  id: number;
  name: string;
  argument: unknown;
}

interface Reply {
  id: number;
  value?: unknown;
  failure?: string;
}

interface Waiting {
  resolve: (value: unknown) => void;
  reject: (error: Error) => void;
}

/** As the image runs the server: bare gets the same. */
const execArgv = ['--max-semi-space-size=8'];
const env = {
  NODE_ENV: 'production',
  MALLOC_ARENA_MAX: '2',
  MALLOC_MMAP_THRESHOLD_: '8388608',
};

/** Starts `file` in a process of its own, with its output in `logFile` and no environment but that. */
export function startChild<Calls>(
  file: string,
  parameters: readonly string[],
  logFile: string,
): Child<Calls> {
  const log = openSync(logFile, 'a');
  const child = fork(file, [...parameters], {
    execArgv,
    env,
    stdio: ['ignore', log, 'inherit', 'ipc'],
  });
  closeSync(log);
  const waiting = new Map<number, Waiting>();
  let lastId = 0;
  child.on('message', (message) => {
    const { id, value, failure } = message as Reply;
    const asked = waiting.get(id);
    waiting.delete(id);
    if (failure === undefined) asked?.resolve(value);
    else asked?.reject(new Error(failure));
  });
  child.once('exit', (code) => {
    for (const { reject } of waiting.values()) {
      reject(new Error(`${file} ended with code ${String(code)}`));
    }
  });
  return {
    call(name, argument) {
      lastId += 1;
      const question: Question = { id: lastId, name, argument };
      return new Promise((resolve, reject) => {
        waiting.set(question.id, { resolve: resolve as (value: unknown) => void, reject });
        child.send(question);
      });
    },
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    },
  };
}

/** Answers the parent process; an `answers` member for each call. Ends with the parent. */
export function answerParent<Calls>(answers: {
  [Name in keyof Calls]: (argument: Argument<Calls[Name]>) => unknown;
}): void {
  const byName = answers as Record<string, ((argument: unknown) => unknown) | undefined>;
  process.on('message', (message) => {
    const { id, name, argument } = message as Question;
    void resultOf(() => byName[name]?.(argument)).then((result) =>
      process.send?.({ id, ...result }),
    );
  });
  process.once('disconnect', () => {
    process.kill(process.pid, 'SIGKILL');
  });
}

async function resultOf(work: () => unknown): Promise<Omit<Reply, 'id'>> {
  try {
    return { value: await work() };
  } catch (error) {
    return { failure: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}
