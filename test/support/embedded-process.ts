import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { SocketConnection } from '../../src/database/embedded.ts';

/** Another process that uses an embedded database. */
export interface EmbeddedProcess {
  connection: SocketConnection;
  /** Ends the process with no chance to clean up. */
  kill(): Promise<void>;
  /** Lets it leave the server and end. */
  leave(): Promise<void>;
}

const script = fileURLToPath(new URL('embedded-child.ts', import.meta.url));

async function ended(child: ChildProcess, act: () => void): Promise<void> {
  const exit = once(child, 'exit');
  act();
  await exit;
}

/** Starts a process that joins or starts the server of `directory`, as another user if `uid` is given. */
export async function embeddedProcess(directory: string, uid?: number): Promise<EmbeddedProcess> {
  const child = spawn(process.execPath, [script, directory], {
    cwd: '/',
    stdio: ['pipe', 'pipe', 'inherit'],
    ...(uid !== undefined && { uid, gid: uid }),
  });
  for await (const line of createInterface({ input: child.stdout })) {
    return {
      connection: JSON.parse(line) as SocketConnection,
      kill: () => ended(child, () => child.kill('SIGKILL')),
      leave: () => ended(child, () => child.stdin.end()),
    };
  }
  throw new Error('The process ended before it had a database.');
}
