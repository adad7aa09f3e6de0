import type { ServerResponse } from 'node:http';
import type { Server } from 'node:https';
import { Server as NetServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises';
import { Problem } from '../problem.ts';

/** Answers that are not finished yet, by server. */
const underWay = new WeakMap<Server, Set<ServerResponse>>();

/** Starts listening and gives back the port. Problem('already_running') when it is taken. */
export async function listen(
  server: Server,
  { address, port }: { address: string; port: number },
): Promise<number> {
  trackAnswers(server);
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

function trackAnswers(server: Server): void {
  const answers = new Set<ServerResponse>();
  underWay.set(server, answers);
  server.prependListener('request', (_request, response) => {
    answers.add(response);
    response.once('close', () => answers.delete(response));
  });
}

/**
 * How long a kept connection may be silent before it is closed: a request that is on its way to us by then is answered.
 * Node's own `close` cuts silent connections at once, and what was just sent on them is lost.
 */
const silenceMs = 1000;

/**
 * Stops taking connections and lets running requests finish; connections that are busy after `seconds` are cut. Kept
 * connections are told to close with their next answer, and closed when they stay silent.
 */
export async function drain(servers: readonly Server[], seconds: number): Promise<void> {
  const closed = Promise.all(servers.map(stopListening));
  const over = new AbortController();
  const { signal } = over;
  const cuts = [
    after(Math.min(silenceMs, seconds * 1000), signal, async () => {
      await turn(); // on a starved machine the time is up before what has arrived is read
      for (const server of servers) server.closeIdleConnections();
    }),
    after(seconds * 1000, signal, () => {
      for (const server of servers) server.closeAllConnections();
    }),
  ];
  await closed;
  over.abort();
  await Promise.all(cuts);
}

/** Resolves when the last connection is closed. */
function stopListening(server: Server): Promise<void> {
  for (const response of underWay.get(server) ?? []) sayLast(response);
  server.prependListener('request', (_request, response) => {
    sayLast(response);
  });
  return new Promise((resolve) => {
    // Not the HTTP server's: see silenceMs.
    NetServer.prototype.close.call(server, () => {
      resolve();
    });
  });
}

function sayLast(response: ServerResponse): void {
  if (!response.headersSent) response.setHeader('Connection', 'close');
}

async function after(
  milliseconds: number,
  signal: AbortSignal,
  act: () => void | Promise<void>,
): Promise<void> {
  await wait(milliseconds, undefined, { signal, ref: false }).then(act, () => undefined);
}
