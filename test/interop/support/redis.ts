import { randomBytes } from 'node:crypto';
import { freePort } from '../../support/free-port.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { startPeer } from './peer.ts';

/** A running Redis. */
export interface Redis {
  /** With its password. */
  url: string;
  stop(): Promise<void>;
}

/** Starts Debian's Redis with a password, in memory alone; on `port` of one that was stopped it comes back empty. */
export async function startRedis(place?: {
  port: number;
  password: string;
}): Promise<Redis & { port: number; password: string }> {
  const directory = await temporaryDirectory();
  const port = place?.port ?? (await freePort());
  const password = place?.password ?? randomBytes(16).toString('hex');
  const listening = ['--bind', '127.0.0.1', '--port', String(port), '--requirepass', password];
  const peer = await startPeer({
    command: 'redis-server',
    args: [...listening, '--save', '', '--appendonly', 'no', '--dir', directory.path],
    ports: [port],
  });
  return {
    ...{ port, password },
    url: `redis://:${password}@127.0.0.1:${String(port)}`,
    async stop() {
      await peer.stop();
      await directory.remove();
    },
  };
}
