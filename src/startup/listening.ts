import type { Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { Problem } from '../problem.ts';

/** Starts listening and gives back the port. Problem('already_running') when it is taken. */
export async function listen(
  server: Server,
  { address, port }: { address: string; port: number },
): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const taken = { detail: `${address}:${String(port)}`, cause: error };
      reject(error.code === 'EADDRINUSE' ? new Problem('already_running', taken) : error);
    });
    server.listen(port, address, () => {
      resolve();
    });
  });
  return (server.address() as AddressInfo).port;
}

/**
 * Stops taking connections and lets running requests finish; connections that are busy after `seconds` are cut. Kept
 * connections are told to close with their next answer, so that no request is lost between two.
 */
export async function drain(servers: readonly Server[], seconds: number): Promise<void> {
  const closed = servers.map(
    (server) =>
      new Promise<void>((resolve) => {
        server.close(() => {
          resolve();
        });
      }),
  );
  for (const server of servers) server.closeIdleConnections();
  const deadline = new AbortController();
  const cut = wait(seconds * 1000, undefined, { signal: deadline.signal, ref: false })
    .then(() => {
      for (const server of servers) server.closeAllConnections();
    })
    .catch(() => undefined);
  await Promise.all(closed);
  deadline.abort();
  await cut;
}
