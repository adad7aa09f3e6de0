import { existsSync, readFileSync, statSync } from 'node:fs';
import { chmod, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { canReach } from '../../src/database/embedded-account.ts';
import { findPlace } from '../../src/database/embedded-place.ts';
import {
  startEmbeddedPostgres,
  type EmbeddedPostgres,
  type SocketConnection,
} from '../../src/database/embedded.ts';
import { embeddedProcess, type EmbeddedProcess } from '../support/embedded-process.ts';
import { silentLogger } from '../support/silent-logger.ts';
import { temporaryDirectory, type TemporaryDirectory } from '../support/temporary-directory.ts';

let temporary: TemporaryDirectory;
let directory: string;
let ours: EmbeddedPostgres[];
let others: EmbeddedProcess[];

beforeEach(async () => {
  temporary = await temporaryDirectory();
  directory = join(temporary.path, 'database');
  ours = [];
  others = [];
});

afterEach(async () => {
  await Promise.all(others.map((other) => other.leave()));
  await Promise.all(ours.map((server) => server.stop()));
  await temporary.remove();
});

async function start(at = directory): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres({ directory: at, logger: silentLogger });
  ours.push(server);
  return server;
}

async function startOther(at = directory, uid?: number): Promise<EmbeddedProcess> {
  const other = await embeddedProcess(at, uid);
  others.push(other);
  return other;
}

async function query(connection: SocketConnection, sql: string): Promise<unknown[][]> {
  const client = new pg.Client(connection);
  await client.connect();
  try {
    const { rows } = await client.query<unknown[]>({ text: sql, rowMode: 'array' });
    return rows;
  } finally {
    await client.end();
  }
}

const remember = (connection: SocketConnection) =>
  query(connection, 'CREATE TABLE memory AS SELECT 42 AS answer');
const recall = (connection: SocketConnection) => query(connection, 'SELECT answer FROM memory');

/** Process id of the server that runs on `data`. */
function serverOf(data = join(directory, 'data')): number | undefined {
  const file = join(data, 'postmaster.pid');
  return existsSync(file) ? Number(readFileSync(file, 'utf8').split('\n')[0]) : undefined;
}

describe('one process', () => {
  it('finds its data again after a stop', async () => {
    const first = await start();
    await remember(first.connection);
    await first.stop();
    expect(serverOf()).toBeUndefined();

    const second = await start();
    expect(await recall(second.connection)).toEqual([[42]]);
  });

  it('gets a server that keeps what it acknowledged and opens no port', async () => {
    const { connection } = await start();
    expect(await query(connection, 'SHOW fsync')).toEqual([['on']]);
    expect(await query(connection, 'SHOW full_page_writes')).toEqual([['on']]);
    expect(await query(connection, 'SHOW listen_addresses')).toEqual([['']]);
    expect(await query(connection, 'SHOW unix_socket_permissions')).toEqual([['0700']]);
  });

  it('may stop twice', async () => {
    const server = await start();
    await Promise.all([server.stop(), server.stop()]);
    expect(serverOf()).toBeUndefined();
  });

  it('gets the server back when it is killed', async () => {
    const { connection } = await start();
    await remember(connection);
    const killed = serverOf();
    process.kill(killed ?? 0, 'SIGKILL');
    await vi.waitFor(async () => {
      expect(serverOf()).not.toBe(killed);
      expect(await recall(connection)).toEqual([[42]]);
    }, 20_000);
  });

  it('uses a folder whose path is too long for a socket', async () => {
    const deep = join(directory, 'x'.repeat(60), 'y, "z"');
    const server = await start(deep);
    await remember(server.connection);
    expect(server.connection.host.startsWith(directory)).toBe(false);

    const other = await startOther(deep);
    expect(other.connection).toEqual(server.connection);
    expect(await recall(other.connection)).toEqual([[42]]);

    await Promise.all([server.stop(), others.pop()?.leave()]);
    expect(existsSync(server.connection.host)).toBe(false);
  });

  it('uses a folder below one that is closed to others', async () => {
    const closed = join(temporary.path, 'closed');
    await mkdir(closed, { mode: 0o700 });
    const server = await start(join(closed, 'database'));
    await remember(server.connection);
    const { data, root } = findPlace(join(closed, 'database'));
    temporary.alsoRemove(root); // as root it is another folder, where the database's user can get
    expect(serverOf(data)).toBeGreaterThan(1);
    await server.stop();

    const again = await start(join(closed, 'database'));
    expect(await recall(again.connection)).toEqual([[42]]);
    await again.stop();
  });
});

describe('several processes', () => {
  it('share the server that a killed one left running', async () => {
    const other = await embeddedProcess(directory);
    await remember(other.connection);
    const left = serverOf();
    await other.kill();

    const adopted = await start();
    expect(serverOf()).toBe(left);
    expect(await recall(adopted.connection)).toEqual([[42]]);
    await adopted.stop();
    expect(serverOf()).toBeUndefined();
  });

  it('start one server when they come at once, and the last to leave stops it', async () => {
    const four = await Promise.all([1, 2, 3, 4].map(() => embeddedProcess(directory)));
    const [first, ...rest] = four;
    const server = serverOf();
    const connections = new Set(four.map(({ connection }) => JSON.stringify(connection)));
    expect(connections.size).toBe(1);

    await Promise.all(rest.map((other) => other.leave()));
    expect(serverOf()).toBe(server);
    await first?.leave();
    expect(serverOf()).toBeUndefined();
  });

  it('get a server although the last one is just stopping it', async () => {
    let server = await start();
    for (let round = 0; round < 5; round += 1) {
      const [, next] = await Promise.all([server.stop(), start()]);
      expect(await query(next.connection, 'SELECT 1')).toEqual([[1]]);
      server = next;
    }
  });
});

const nobody = { uid: 65534, gid: 65534 };
const programs = [import.meta.dirname, process.execPath];

// Only root can become somebody else, who must be able to run what is checked out here.
if (process.getuid?.() === 0 && programs.every((path) => canReach(dirname(path), nobody))) {
  it('root and an ordinary user share a server that runs as the owner of the data', async () => {
    await mkdir(directory);
    await chmod(directory, 0o777);
    const other = await embeddedProcess(directory, nobody.uid);
    await remember(other.connection);
    await other.leave();

    const { connection } = await start();
    expect(await recall(connection)).toEqual([[42]]);
    expect(statSync(join(directory, 'data')).uid).toBe(nobody.uid);
    const joined = await startOther(directory, nobody.uid);
    expect(joined.connection).toEqual(connection);
  });
}
