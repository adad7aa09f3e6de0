import { once } from 'node:events';
import { Server as NetServer } from 'node:net';
import { connect } from 'node:tls';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import pg from 'pg';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { runServer } from '../../src/startup/run-server.ts';
import { testDatabase } from '../support/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { emptyPlace } from '../support/demo-process.ts';
import { startProgram } from '../support/program.ts';
import { recordingStream } from '../support/recording-logger.ts';
import { startAuthorizationServer } from '../support/server.ts';

const closers: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** Sessions that servers hold on the database. */
async function sessionsOn({ connection }: TestDatabase): Promise<number> {
  const client = new pg.Client(connection);
  await client.connect();
  const { rows } = await client.query<{ count: number }>(
    `SELECT count(*)::int FROM pg_stat_activity
     WHERE datname = current_database() AND application_name = 'countersign'`,
  );
  await client.end();
  return rows[0]?.count ?? 0;
}

/** Settings of a program on a test database, and where its doors are. */
async function newPlace() {
  const database = await testDatabase();
  const place = await emptyPlace();
  closers.push(
    () => database.close(),
    () => place.directory.remove(),
  );
  const own = Object.entries(place.environment).filter(
    (entry): entry is [string, string] =>
      entry[0].startsWith('COUNTERSIGN_') && entry[1] !== undefined,
  );
  const variables: Record<string, string> = {
    ...Object.fromEntries(own),
    DATABASE_URL: database.connectionString,
    COUNTERSIGN_DRAIN: '20',
    COUNTERSIGN_LOG_FORMAT: 'json',
  };
  return { ...place, variables };
}

describe('Of what is to be closed when a server stops,', () => {
  it('nothing is skipped because something before it failed', async () => {
    const server = await startAuthorizationServer();
    closers.push(() => server.database.close());
    const { audit } = server.running.app;
    const close = audit.close.bind(audit);
    audit.close = async () => {
      await close();
      throw new Error('the audit trail can’t be closed');
    };
    expect(await sessionsOn(server.database)).toBeGreaterThan(0);
    await expect(server.running.stop()).rejects.toThrow('the audit trail can’t be closed');
    // Postgres takes a moment to notice that a session was left.
    await expect.poll(() => sessionsOn(server.database), { timeout: 10_000 }).toBe(0);
    await expect(fetch(`${server.operationsOrigin}/livez`)).rejects.toThrow();
  });
});

describe('A process', () => {
  it('that did not stop as it should says so, and not that it does not start', async () => {
    const { variables } = await newPlace();
    const [log, errors] = [recordingStream(), recordingStream()];
    const { promise: ready, resolve } = Promise.withResolvers<unknown>();
    const before = process.listeners('SIGTERM');
    const ended = runServer(variables, {
      log: log.stream,
      errors: errors.stream,
      announce: () => undefined,
      onReady: resolve,
    });
    await Promise.race([ready, ended]);
    const closeServer = Reflect.get<NetServer, 'close'>(NetServer.prototype, 'close');
    vi.spyOn(NetServer.prototype, 'close').mockImplementationOnce(function (this: NetServer, done) {
      closeServer.call(this, done);
      throw new Error('the door is stuck');
    });
    await vi.waitFor(
      () => {
        expect(process.listeners('SIGTERM').length).toBeGreaterThan(before.length);
      },
      { timeout: 10_000 },
    );
    for (const listener of process.listeners('SIGTERM')) {
      if (!before.includes(listener)) listener('SIGTERM');
    }
    expect(await ended).toBe(1);
    expect(errors.text()).toMatch(/^Countersign did not stop as it should: .*the door is stuck/);
    expect(errors.text()).not.toContain('does not start');
    await vi.waitFor(
      () => {
        expect(log.text()).toContain('"message":"The server did not stop as it should"');
      },
      { timeout: 10_000 },
    );
  });

  it.each([
    ['SIGTERM', 'SIGINT'],
    ['SIGINT', 'SIGTERM'],
    ['SIGTERM', 'SIGTERM'],
  ] as const)('that stops on %s ends at once on %s', async (first, second) => {
    const { variables, keysDirectory, operationsOrigin } = await newPlace();
    const program = startProgram({ environment: variables });
    closers.push(() => program.stop('SIGKILL'));
    await program.answers(`${operationsOrigin}/readyz`);
    const ca = await readFile(path.join(keysDirectory, 'ca.crt'));
    const port = Number(variables['COUNTERSIGN_PORT']);
    const socket = connect({ host: '127.0.0.1', servername: 'localhost', port, ca });
    socket.on('error', () => undefined);
    await once(socket, 'secureConnect');
    // Keeps the drain waiting: Node answers the first request when the second one has begun.
    socket.write('GET /jwks HTTP/1.1\r\nHost: localhost\r\n\r\nPOST /token HTTP/1.1\r\nHost: ');
    await once(socket, 'data');
    program.child.kill(first);
    await program.says(/"message":"stopping"/);
    program.child.kill(second);
    expect(await program.ended).toEqual({ code: null, signal: second });
    socket.destroy();
  });
});
