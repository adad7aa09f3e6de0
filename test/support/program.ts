import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { compileCache } from './compile-cache.ts';

/** The checkout that programs run from. */
const repository = fileURLToPath(new URL('../..', import.meta.url));
const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

/** How a program ended. */
export interface Ending {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** `src/main.ts` as a process of its own. */
export interface Program {
  child: ChildProcess;
  stdout(): string;
  stderr(): string;
  /** Resolves when standard output matches; rejects when the process ends before. */
  says(pattern: RegExp): Promise<void>;
  /** Resolves when the address answers with 200; rejects when the process ends before. */
  answers(url: string): Promise<void>;
  ended: Promise<Ending>;
  /** Sends a signal and waits for the end. */
  stop(signal?: NodeJS.Signals): Promise<Ending>;
}

/** How to run it. */
export interface ProgramOptions {
  /** The whole environment, apart from what finds programs. */
  environment: Record<string, string>;
  /** As another user, when we are root. */
  uid?: number;
  /** Another checkout than this one. */
  script?: string;
}

/** Starts the server as `npm start` does. */
export function startProgram({ environment, uid, script = main }: ProgramOptions): Program {
  const child = spawn(process.execPath, ['--max-semi-space-size=8', script], {
    cwd: repository,
    env: {
      PATH: '/usr/local/bin:/usr/bin:/bin',
      NODE_COMPILE_CACHE: compileCache,
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const ended = once(child, 'close').then(([code, signal]) => ({
    code: code as number | null,
    signal: signal as NodeJS.Signals | null,
  }));
  return {
    child,
    stdout: () => stdout,
    stderr: () => stderr,
    ended,

    async says(pattern) {
      while (!pattern.test(stdout)) {
        const next = once(child.stdout, 'data').then(() => 'more' as const);
        if ((await Promise.race([next, ended])) === 'more' || pattern.test(stdout)) continue;
        throw new Error(`the program ended without saying ${String(pattern)}:\n${stdout}${stderr}`);
      }
    },

    async answers(url) {
      for (;;) {
        const answer = await fetch(url).catch(() => undefined);
        if (answer?.status === 200) return;
        if ((await Promise.race([wait(50), ended])) === undefined) continue;
        throw new Error(`the program ended before ${url} answered:\n${stdout}${stderr}`);
      }
    },

    async stop(signal = 'SIGTERM') {
      child.kill(signal);
      return ended;
    },
  };
}
