import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** How a command ended and what it wrote. */
export interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** What a command gets besides its arguments. */
export interface Surroundings {
  directory?: string;
  /** Its standard input; none when not given. */
  input?: string;
  environment?: Record<string, string>;
}

/** Runs a command of the system to its end, whichever that is; it sees nothing of our environment. */
export async function runCommand(
  command: string,
  args: readonly string[],
  { directory, input = '', environment = {} }: Surroundings = {},
): Promise<Outcome> {
  const child = spawn(command, args, {
    ...(directory === undefined ? {} : { cwd: directory }),
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C.UTF-8', ...environment },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  child.stdin.on('error', () => undefined).end(input); // one that reads nothing may close its input
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}
