import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync, renameSync, statSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import pg from 'pg';
import { Problem } from '../problem.ts';
import { PROGRAM_ENVIRONMENT } from './embedded-cluster.ts';
import { namesRunningServer, readPidFile, removeForeignLocks } from './embedded-pid-file.ts';
import { makeSocketDirectory, type Place } from './embedded-place.ts';

/** Part of the socket's name only: no port is opened. */
export const SOCKET_PORT = 5432;
const POLL_MS = 20;
/** Before the program is launched again. */
const RETRY_MS = 200;
/** Crash recovery of the embedded database's 256 MB of log takes seconds; this is for slow disks. */
const START_DEADLINE_MS = 60_000;
const LOG_LIMIT_BYTES = 10_000_000;
const LOG_TAIL_CHARACTERS = 2_000;

/** Refused for good: the socket is not ours, or the server asks for a password. Everything else passes or is timed. */
const REFUSED = /^(?:EACCES|EPERM|28...)$/;
/** Failures that pass when a killed predecessor has been cleared away by the system. */
const PASSING_FAILURE = /postmaster\.pid|shared memory block|\.s\.PGSQL/;

/** What is needed to start the server of one place. */
export interface ServerSettings {
  place: Place;
  /** Path of the program. */
  postgres: string;
}

/** A session on the server, and the folder of the socket that it went through. */
export interface Session {
  client: pg.Client;
  socketDirectory: string;
}

function parameters(socketDirectory: string): string[] {
  const settings = {
    listen_addresses: '',
    // a list: quoted, because a comma would end the entry
    unix_socket_directories: `"${socketDirectory.replaceAll('"', '""')}"`,
    unix_socket_permissions: '0700',
    port: String(SOCKET_PORT),
    shared_buffers: '32MB',
    max_connections: '60',
    max_wal_size: '256MB',
    log_checkpoints: 'off',
    logging_collector: 'off',
    log_error_verbosity: 'terse', // DETAIL would repeat column values
    log_min_error_statement: 'panic', // and so would the statement
  };
  return Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

function logSize({ log }: Place): number {
  return statSync(log, { throwIfNoEntry: false })?.size ?? 0;
}

function logSince({ log }: Place, offset: number): string {
  return readFileSync(log).subarray(offset).toString('utf8').slice(-LOG_TAIL_CHARACTERS).trim();
}

/**
 * Starts the program in a session of its own, so that Ctrl-C in our terminal reaches us and not it. Its log is a file,
 * because a pipe would break when we die.
 */
function launch({ place, postgres }: ServerSettings): ChildProcess {
  const socketDirectory = makeSocketDirectory(place);
  removeForeignLocks(place.data, socketDirectory);
  if (logSize(place) > LOG_LIMIT_BYTES) renameSync(place.log, `${place.log}.1`);
  const log = openSync(place.log, 'a', 0o600);
  try {
    const child = spawn(postgres, ['-D', place.data, ...parameters(socketDirectory)], {
      ...place.account,
      cwd: '/',
      detached: true,
      // Postgres ignores a stale lock file with the number of its parent or of this one (miscinit.c).
      env: { ...PROGRAM_ENVIRONMENT, PG_GRANDPARENT_PID: String(process.ppid) },
      stdio: ['ignore', log, log],
    });
    child.unref();
    return child;
  } finally {
    closeSync(log);
  }
}

/** One attempt to log in: a session, or the error's code. */
async function connect(socketDirectory: string): Promise<pg.Client | { code: string }> {
  const client = new pg.Client({
    host: socketDirectory,
    port: SOCKET_PORT,
    user: 'postgres',
    database: 'postgres',
    ssl: false,
    application_name: 'countersign embedded',
    connectionTimeoutMillis: 5_000,
  });
  client.on('error', () => undefined); // whoever keeps the session listens to 'end'
  try {
    await client.connect();
    return client;
  } catch (error) {
    await client.end().catch(() => undefined);
    return { code: (error as NodeJS.ErrnoException).code ?? 'unknown' };
  }
}

/** Logs in to the server that the lock file names; the string says why that was not possible. */
async function tryToJoin({ data }: Place): Promise<Session | 'absent' | 'wait'> {
  const file = readPidFile(data);
  if (file === undefined || !namesRunningServer(file, data)) return 'absent';
  if (file.socketDirectory === '') return 'wait';
  const client = await connect(file.socketDirectory);
  if (client instanceof pg.Client) return { client, socketDirectory: file.socketDirectory };
  if (!REFUSED.test(client.code)) return 'wait'; // it starts, recovers, stops or has no session free
  throw new Problem('embedded_database_failed', {
    detail: `The server in ${data} refused us: ${client.code}.`,
  });
}

/** A launched program. */
interface Attempt {
  /** What ended it, or undefined as long as it runs. */
  failure(): string | undefined;
}

function attempt(settings: ServerSettings): Attempt {
  const { place } = settings;
  const offset = logSize(place);
  const child = launch(settings);
  let failure: string | undefined;
  child.on('error', (error) => (failure = error.message));
  child.on('exit', (code, signal) => (failure ??= `ended with ${String(code ?? signal)}`));
  return {
    failure: () =>
      failure && `${failure}: ${logSince(place, logSize(place) < offset ? 0 : offset)}`,
  };
}

function startFailure({ place, postgres }: ServerSettings, reason: string): Problem {
  return new Problem('embedded_database_failed', {
    detail: `${postgres} ${reason} (log: ${place.log}). Another database can be set as DATABASE_URL.`,
  });
}

/** What to do about a launched program that has ended: nothing if the reason passes, and the caller tries again. */
function judge(settings: ServerSettings, failure: string, late: boolean): void {
  if (late || !PASSING_FAILURE.test(failure)) throw startFailure(settings, failure);
}

/**
 * Joins the server of a place, started by whomever, or starts it. Several processes may do so at once: Postgres's own
 * lock file lets one server through, and all of them join it.
 * @throws Problem embedded_database_failed with the end of the server's log
 */
export async function joinOrStart(settings: ServerSettings): Promise<Session> {
  const deadline = performance.now() + START_DEADLINE_MS;
  let current: Attempt | undefined;
  for (;;) {
    const session = await tryToJoin(settings.place);
    if (typeof session === 'object') return session;
    const late = performance.now() > deadline;
    const failure = current?.failure();
    if (failure !== undefined) {
      judge(settings, failure, late);
      current = undefined;
      await wait(RETRY_MS);
    } else if (late) {
      throw startFailure(settings, 'does not answer');
    } else {
      if (session === 'absent') current ??= attempt(settings);
      await wait(POLL_MS);
    }
  }
}
