import { spawn, type ChildProcess } from 'node:child_process';
import { lstatSync, readFileSync } from 'node:fs';
import { appendFile, chmod, cp, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { chooseAccount } from '../../src/database/embedded-account.ts';
import { chooseBinaries } from '../../src/database/embedded-binaries.ts';
import { findPlace, makeSocketDirectory } from '../../src/database/embedded-place.ts';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../../src/database/embedded.ts';
import { silentLogger } from '../support/silent-logger.ts';
import { temporaryDirectory, type TemporaryDirectory } from '../support/temporary-directory.ts';

let temporary: TemporaryDirectory;
let directory: string;

beforeEach(async () => {
  temporary = await temporaryDirectory();
  directory = join(temporary.path, 'database');
});

afterEach(() => temporary.remove());

function start(binDirectory?: string): Promise<EmbeddedPostgres> {
  return startEmbeddedPostgres({ directory, logger: silentLogger, binDirectory });
}

async function answers({ connection }: EmbeddedPostgres): Promise<boolean> {
  const client = new pg.Client(connection);
  await client.connect();
  const { rowCount } = await client.query('SELECT 1');
  await client.end();
  return rowCount === 1;
}

describe('lock files with the number of another program', () => {
  let stranger: ChildProcess;

  beforeEach(() => {
    // of the database's own user: Postgres itself ignores the numbers of other users' programs
    stranger = spawn('sleep', ['60'], { ...chooseAccount(join(directory, 'data')) });
  });

  afterEach(() => stranger.kill());

  it('do not keep the server from starting', async () => {
    const first = await start();
    const pidFile = join(directory, 'data', 'postmaster.pid');
    const text = readFileSync(pidFile, 'utf8');
    await first.stop();
    const number = String(stranger.pid);
    await writeFile(pidFile, text.replace(/^\d+/u, number));
    await writeFile(join(first.connection.host, '.s.PGSQL.5432.lock'), `${number}\n`);

    const second = await start();
    expect(await answers(second)).toBe(true);
    await second.stop();
    expect(stranger.exitCode).toBeNull();
  });
});

describe('the programs of the package', () => {
  /** The package's programs as they are after an installation without scripts: with no link between libraries. */
  async function withoutLinks(parent: string): Promise<string> {
    const tree = dirname(chooseBinaries(undefined).directory);
    const copy = join(parent, 'native');
    await cp(tree, copy, { recursive: true, filter: (path) => !lstatSync(path).isSymbolicLink() });
    return join(copy, 'bin');
  }

  it('get their links where the installation left them out', async () => {
    const server = await start(await withoutLinks(temporary.path));
    expect(await answers(server)).toBe(true);
    await server.stop();
  });

  it('are copied where the database user may not go and nobody may write', async () => {
    const closed = join(temporary.path, 'closed');
    await mkdir(closed);
    const programs = await withoutLinks(closed);
    await chmod(join(dirname(programs), 'lib'), 0o500);
    await chmod(closed, 0o700);
    const starting = start(programs);
    await starting.finally(() => chmod(join(dirname(programs), 'lib'), 0o700));
    const server = await starting;
    expect(await answers(server)).toBe(true);
    await server.stop();
    expect(lstatSync(join(directory, 'programs')).isDirectory()).toBe(true);
  });

  it('are named when they are not where the operator says', async () => {
    await expect(start(temporary.path)).rejects.toMatchObject({
      code: 'embedded_database_failed',
      detail: `There is no postgres in ${temporary.path}.`,
    });
  });
});

describe('a server that can not start', () => {
  it('is reported with what it said', async () => {
    await (await start()).stop();
    await appendFile(join(directory, 'data', 'postgresql.conf'), '\nno_such_setting = 1\n');
    await expect(start()).rejects.toMatchObject({
      code: 'embedded_database_failed',
      detail: expect.stringMatching(/no_such_setting.*DATABASE_URL/su) as string,
    });
  });

  it('is not started with a socket that others could reach', async () => {
    await mkdir(join(directory, 'run'), { recursive: true });
    await chmod(join(directory, 'run'), 0o755);
    expect(() => makeSocketDirectory(findPlace(directory))).toThrow(
      /must belong .* closed to others/u,
    );
  });
});
