import { rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { Logger } from '../observability/logger.ts';
import { Problem } from '../problem.ts';
import { chooseBinaries, prepareBinaries } from './embedded-binaries.ts';
import { ensureCluster } from './embedded-cluster.ts';
import { isAlive, readPidFile } from './embedded-pid-file.ts';
import { findPlace, type Place } from './embedded-place.ts';
import { keepPresence } from './embedded-presence.ts';
import { joinOrStart, SOCKET_PORT, type ServerSettings } from './embedded-server.ts';

/** How to connect through the server's unix socket: `host` is the socket's folder. */
export interface SocketConnection {
  host: string;
  port: number;
  user: string;
  database: string;
}

/** The running server. */
export interface EmbeddedPostgres {
  connection: SocketConnection;
  /** Where everything lies: not in the folder asked for when its account can't reach that. */
  directory: string;
  /** Leaves the server, and stops it unless another process uses it. */
  stop(): Promise<void>;
}

/** Where and with which programs to run the server. */
export interface EmbeddedOptions {
  /** Folder for everything that the server keeps. */
  directory: string;
  logger: Logger;
  /** Folder with `initdb` and `postgres`; without it they are looked for. */
  binDirectory?: string | undefined;
}

const DATABASE = 'countersign';
const STOP_POLL_MS = 20;
const STOP_DEADLINE_MS = 30_000;

async function settle({
  directory,
  logger,
  binDirectory,
}: EmbeddedOptions): Promise<ServerSettings> {
  if (process.platform === 'win32') {
    throw new Problem('embedded_database_failed', {
      detail: 'There is no embedded database on Windows. Set DATABASE_URL to a PostgreSQL server.',
    });
  }
  const place = findPlace(directory);
  if (!place.asAsked) {
    logger.warn('The database user may not enter the database directory; using another one', {
      directory,
      used: place.root,
    });
  }
  const binaries = chooseBinaries(binDirectory);
  const programs = await prepareBinaries(binaries, place);
  await ensureCluster(join(programs, 'initdb'), place);
  return { place, postgres: join(programs, 'postgres') };
}

/** Stops the server by SIGINT: sessions are ended, data written out. It may not be our child, so the lock file tells. */
async function shutDown({ data }: Place): Promise<void> {
  const running = readPidFile(data);
  if (running === undefined) return;
  process.kill(running.pid, 'SIGINT');
  const deadline = performance.now() + STOP_DEADLINE_MS;
  while (isAlive(running.pid) && readPidFile(data)?.pid === running.pid) {
    if (performance.now() > deadline) {
      throw new Problem('embedded_database_failed', {
        detail: `The embedded database (process ${String(running.pid)}) does not stop.`,
      });
    }
    await wait(STOP_POLL_MS);
  }
}

/** Shuts the server down and removes the socket's folder where it is not one of the place's own. */
async function shutDownAndTidy(place: Place, socketDirectory: string): Promise<void> {
  await shutDown(place);
  // A server that starts just now needs the folder: then it is not empty, or is made again.
  if (dirname(socketDirectory) !== place.root) await rmdir(socketDirectory).catch(() => undefined);
}

/** Says what failed in our own terms; a file that we may not read usually belongs to a server that root started. */
function asProblem(error: unknown, directory: string): Problem {
  if (error instanceof Problem) return error;
  const denied = ['EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '');
  const hint = denied ? ' It may belong to another user: run as that user, or remove it.' : '';
  return new Problem('embedded_database_failed', {
    detail: `In ${directory}: ${error instanceof Error ? error.message : String(error)}.${hint}`,
    cause: error,
  });
}

/**
 * Runs a PostgreSQL server of our own on a private unix socket, with its data in `directory`, or joins the one that is
 * running there. Several processes share one server; the last to stop ends it. A server that lost its process is
 * joined by the next one, and one that dies while in use is started again.
 * @throws Problem embedded_database_failed
 */
export async function startEmbeddedPostgres(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  const { directory, logger } = options;
  try {
    const settings = await settle(options);
    const { place } = settings;
    const presence = await keepPresence({
      join: () => joinOrStart(settings),
      database: DATABASE,
      logger,
    });
    logger.info('The embedded database is ready', { directory: place.root });
    const connection = {
      host: presence.socketDirectory,
      port: SOCKET_PORT,
      user: 'postgres',
      database: DATABASE,
    };
    const shutDownHere = () => shutDownAndTidy(place, connection.host);
    return {
      connection,
      directory: place.root,
      stop: () => presence.leave(shutDownHere),
    };
  } catch (error) {
    throw asProblem(error, directory);
  }
}
