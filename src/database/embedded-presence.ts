import { setTimeout as wait } from 'node:timers/promises';
import pg from 'pg';
import type { Logger } from '../observability/logger.ts';
import type { Session } from './embedded-server.ts';
import { isDatabaseUnavailable } from './unavailable.ts';

/** Held shared by every process that uses the server; whoever gets it alone is the last. Any number of our own. */
const PRESENCE_LOCK = 0x636f756e;
const RETRY_MS = 1_000;

/** How to get to the server, and which database it must have. */
export interface PresenceOptions {
  /** Joins or starts the server. */
  join: () => Promise<Session>;
  database: string;
  logger: Logger;
}

/** A process's sign on the server that it is in use. */
export interface Presence {
  /** Folder of the server's socket. */
  socketDirectory: string;
  /** Takes the sign away; calls `shutDown` where it was the last one. Further calls do nothing. */
  leave(shutDown: () => Promise<void>): Promise<void>;
}

/** Whether an open session keeps the process alive; pg has this, its types do not. */
function holdProcess(client: pg.Client, hold: boolean): void {
  const holder = client as pg.Client & Record<'ref' | 'unref', () => void>;
  if (hold) holder.ref();
  else holder.unref();
}

async function createDatabase(client: pg.Client, name: string): Promise<void> {
  const found = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [name]);
  if (found.rowCount === 0) await client.query(`CREATE DATABASE ${pg.escapeIdentifier(name)}`);
}

/** Shows a process's presence. The alone-lock of a leaving process makes this wait, and then fail as it shuts down. */
async function announce(client: pg.Client, database: string): Promise<void> {
  await client.query('SELECT pg_advisory_lock_shared($1)', [PRESENCE_LOCK]);
  // Alone, because two processes that create the database at once would fail.
  await client.query('SELECT pg_advisory_lock($1)', [PRESENCE_LOCK + 1]);
  await createDatabase(client, database);
  await client.query('SELECT pg_advisory_unlock($1)', [PRESENCE_LOCK + 1]);
}

/** Gives up the shared lock and tries to get it alone; a server that is ending anyway needs nobody to stop it. */
async function isLast(client: pg.Client): Promise<boolean> {
  try {
    return await takeAlone(client);
  } catch (error) {
    if (isDatabaseUnavailable(error)) return false;
    throw error;
  }
}

async function takeAlone(client: pg.Client): Promise<boolean> {
  await client.query('SELECT pg_advisory_unlock_shared($1)', [PRESENCE_LOCK]);
  const { rows } = await client.query<{ alone: boolean }>(
    'SELECT pg_try_advisory_lock($1) AS alone',
    [PRESENCE_LOCK],
  );
  return rows[0]?.alone === true;
}

/** Joins and announces; again where the server was just being stopped by the last process before us. */
async function enter({ join, database }: PresenceOptions): Promise<Session> {
  for (;;) {
    const session = await join();
    try {
      await announce(session.client, database);
      holdProcess(session.client, false);
      return session;
    } catch (error) {
      await session.client.end().catch(() => undefined);
      if (!isDatabaseUnavailable(error)) throw error;
    }
  }
}

/**
 * Joins the server and stays: one idle session holds the lock that says "in use". When that session breaks, because
 * the server crashed or was killed, the server is joined or started again.
 */
export async function keepPresence(options: PresenceOptions): Promise<Presence> {
  const { logger } = options;
  const leaving = new AbortController();
  let left: Promise<void> | undefined;
  let returning: Promise<void> = Promise.resolve();
  let session: Session | undefined;

  async function comeBack(): Promise<void> {
    while (!leaving.signal.aborted) {
      try {
        stay(await enter(options));
        logger.info('The embedded database is back');
        return;
      } catch (error) {
        logger.error('The embedded database does not come back; trying again', { error });
        await wait(RETRY_MS, undefined, { ref: false, signal: leaving.signal }).catch(
          () => undefined,
        );
      }
    }
  }

  function stay(entered: Session): void {
    session = entered;
    entered.client.once('end', () => {
      session = undefined;
      if (leaving.signal.aborted) return;
      logger.warn('The embedded database went away; starting it again');
      returning = comeBack();
    });
  }

  async function leave(shutDown: () => Promise<void>): Promise<void> {
    leaving.abort();
    await returning;
    if (session === undefined) return;
    const { client } = session;
    holdProcess(client, true);
    if (await isLast(client)) await shutDown();
    else logger.info('The embedded database stays: another process uses it');
    await client.end().catch(() => undefined);
  }

  const first = await enter(options);
  stay(first);
  return {
    socketDirectory: first.socketDirectory,
    leave: (shutDown) => (left ??= leave(shutDown)),
  };
}
