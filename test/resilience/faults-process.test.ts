import { closeSync, openSync, readFileSync } from 'node:fs';
import { once } from 'node:events';
import { connect as connectPlainly } from 'node:net';
import type { Socket } from 'node:net';
import { connect } from 'node:tls';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { basic, post, send } from '../support/protocol.ts';
import type { Answer } from '../support/protocol.ts';
import { accountsApi, noConnection, startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { serverProcesses } from '../support/server-process.ts';
import type { ProcessOptions, ServerProcess, ServerProcesses } from '../support/server-process.ts';

let base: AuthorizationServer;
let processes: ServerProcesses;
let running: ServerProcess;

beforeAll(async () => {
  base = await startAuthorizationServer();
  processes = await serverProcesses(base);
});

afterAll(async () => {
  await processes.close();
  await base.stop();
});

async function start(options?: ProcessOptions): Promise<AuthorizationServer> {
  running = await processes.start(options);
  return running.server;
}

/** A request of each sort: with and without the database, with and without a signature. */
function requestsTo(at: AuthorizationServer): (() => Promise<Answer>)[] {
  const fetcher = at.fetch();
  const web = basic('web', base.secrets.web);
  const form = { grant_type: 'client_credentials', resource: accountsApi };
  return [
    () => post(fetcher, `${at.issuer}/token`, { form, headers: web }),
    () =>
      post(fetcher, `${at.issuer}/introspect`, {
        form: { token: 'unknown' },
        headers: basic('accounts-rs', base.secrets['accounts-rs']),
      }),
    () => send(fetcher, `${at.issuer}/jwks`),
  ];
}

async function expectService(at: AuthorizationServer): Promise<void> {
  const answers = await Promise.all(requestsTo(at).map((request) => request()));
  expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
}

describe('A log that can’t be written, because the disk is full,', () => {
  let full: number;

  beforeEach(() => {
    full = openSync('/dev/full', 'w');
  });

  afterEach(() => {
    closeSync(full);
  });

  it('stops nothing', async () => {
    const server = await start({ stdout: full, environment: { COUNTERSIGN_LOG_LEVEL: 'debug' } });
    for (let round = 0; round < 20; round += 1) await expectService(server);
    expect(await running.stop()).toEqual({ code: 0, signal: null });
    expect(running.output()).toBe('');
  });
});

/**
 * How long a connection stays open while the server stops: what is sent on it by then must be answered. On a machine
 * that starves the senders some send later, on a connection that was silent for too long.
 */
const keptMs = 1000;

/** Sends one request after the other on connections that are kept, until told to stop or no new connection is taken. */
function putUnderLoad(at: AuthorizationServer) {
  const statuses: number[] = [];
  const failures: { sentAt: number; cause: string }[] = [];
  let isOver = false;

  async function sendOn(request: () => Promise<Answer>): Promise<void> {
    while (!isOver) {
      const sentAt = performance.now();
      try {
        statuses.push((await request()).status);
      } catch (error) {
        const { cause = error } = error as Error;
        if ((cause as Error).message !== noConnection)
          failures.push({ sentAt, cause: String(cause) });
        return;
      }
    }
  }

  const senders = Array.from({ length: 10 }, () => requestsTo(at)).flat();
  const ended = Promise.all(senders.map(sendOn));
  return {
    statuses,
    /** What was sent within `keptMs` from the moment at which the server was told to stop, and not answered. */
    lostSince: (stoppedAt: number) => failures.filter(({ sentAt }) => sentAt < stoppedAt + keptMs),
    async stop() {
      isOver = true;
      await ended;
    },
  };
}

describe('SIGTERM', () => {
  it('under load loses no request, and the process is gone long before its time is up', async () => {
    const server = await start({ environment: { COUNTERSIGN_DRAIN: '10' } });
    const load = putUnderLoad(server);
    while (load.statuses.length < 300) await expectService(server);
    const begun = performance.now();
    expect(await running.stop()).toEqual({ code: 0, signal: null });
    expect(performance.now() - begun).toBeLessThan(8000);
    await load.stop();
    expect(load.lostSince(begun)).toEqual([]);
    expect(new Set(load.statuses)).toEqual(new Set([200]));
    expect(running.output()).not.toContain('"level":"error"');
  });

  it('does not wait longer than it may for a client that never ends its request', async () => {
    const server = await start({ environment: { COUNTERSIGN_DRAIN: '1' } });
    const socket = await connectTo(server);
    socket.write('POST /token HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf');
    await expectService(server);
    const begun = performance.now();
    expect(await running.stop()).toEqual({ code: 0, signal: null });
    expect(performance.now() - begun).toBeLessThan(4000);
    socket.destroy();
  });
});

async function connectTo({ running: { ports }, certificates }: AuthorizationServer) {
  const ca = certificates.authority.certificatePem;
  const socket = connect({ host: '127.0.0.1', servername: 'localhost', port: ports.public, ca });
  socket.on('error', () => undefined);
  await once(socket, 'secureConnect');
  return socket;
}

/** Waits for the end, whether it comes as a close or as a reset (at which `once` would reject). */
function closing(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.once('close', () => {
      resolve();
    });
  });
}

/** 2,000, or what this machine lets two processes open beside everything else. */
function idleCount(): number {
  const limit = /Max open files\s+(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  return Math.min(2000, Math.floor((Number(limit) - 200) / 2));
}

async function inBatches<T>(count: number, make: () => Promise<T>): Promise<T[]> {
  const made: T[] = [];
  while (made.length < count) {
    const size = Math.min(50, count - made.length);
    made.push(...(await Promise.all(Array.from({ length: size }, make))));
  }
  return made;
}

describe('Clients that only hold on:', () => {
  const sockets: Socket[] = [];

  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await running.stop();
  });

  it('thousands of idle connections are no hindrance', { timeout: 60_000 }, async () => {
    const server = await start();
    const count = idleCount();
    console.log(`idle connections: ${String(count)}`);
    sockets.push(...(await inBatches(count, () => connectTo(server))));
    for (let round = 0; round < 20; round += 1) await expectService(server);
    expect(sockets.filter(({ destroyed }) => destroyed)).toEqual([]);
  });

  it(
    'requests that come byte by byte are cut off, and hinder nobody',
    { timeout: 60_000 },
    async () => {
      const server = await start();
      const slow = await inBatches(100, () => connectTo(server));
      const silent = Array.from({ length: 100 }, () =>
        connectPlainly(server.running.ports.public, '127.0.0.1').on('error', () => undefined),
      );
      sockets.push(...slow, ...silent);
      const ended = sockets.map((socket) => closing(socket.resume()));
      const dripping = setInterval(() => {
        for (const socket of slow) if (socket.writable) socket.write('G');
      }, 100);
      try {
        for (let round = 0; round < 20; round += 1) await expectService(server);
        const begun = performance.now();
        await Promise.all(ended);
        // 10 s for a request's headers and for a handshake, and a second until somebody looks.
        expect(performance.now() - begun).toBeLessThan(15_000);
      } finally {
        clearInterval(dripping);
      }
      await expectService(server);
    },
  );
});
