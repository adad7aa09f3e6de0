import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';

/** What to start. */
export interface PeerOptions {
  command: string;
  args: readonly string[];
  /** Ports of 127.0.0.1 that it listens on once it is ready. */
  ports: readonly number[];
}

/** Somebody else's server, as a child in the foreground. */
export interface Peer {
  /** What it has written to its standard streams. */
  output(): string;
  stop(): Promise<void>;
}

/** Of util-linux: what it runs gets a SIGTERM when this process is gone, however that ended. */
const guardian = { command: 'setpriv', args: ['--pdeathsig', 'TERM'] };

/**
 * Starts it and waits until its ports take connections; rejects with its output when it ends before.
 */
export async function startPeer({ command, args, ports }: PeerOptions): Promise<Peer> {
  const child = spawn(guardian.command, [...guardian.args, command, ...args], {
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C.UTF-8' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  }
  const ended = once(child, 'close').then(() => 'ended' as const);
  for (const port of ports) {
    while (!(await accepts(port))) {
      if ((await Promise.race([wait(20), ended])) === undefined) continue;
      throw new Error(`${command} ended before it took connections:\n${output}`);
    }
  }
  return {
    output: () => output,
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => {
      resolve(false);
    });
  });
}
