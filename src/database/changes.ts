import { Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import pg from 'pg';
import type { Logger } from '../observability/logger.ts';
import { connectionConfig, isBehindPgBouncer, type DatabaseConnection } from './client.ts';

/** What may change behind a process's back. */
export type ChangeTopic =
  | 'clients'
  | 'customers'
  | 'resource-servers'
  | 'signing-keys'
  | 'api-keys'
  | 'security-events'
  | 'access-ended';

/** Changes that any process made, as they are committed (migration change_notifications). */
export interface Changes {
  /** Calls `forget` with the key that changed, or with undefined when anything may have. */
  subscribe(topic: ChangeTopic, forget: (key: string | undefined) => void): void;
  /** Whether changes are heard at the moment; while they are not, nothing may be remembered for long. */
  isLive(): boolean;
  /**
   * Begins to listen, and listens again after every loss, until it is closed. Behind PgBouncer it does not: a pooled
   * session takes LISTEN and is never told anything (PgBouncer, "feature matrix").
   */
  start(): void;
  close(): Promise<void>;
}

/** What a store that remembers its reads needs of {@link Changes}. */
export type ChangeSource = Pick<Changes, 'subscribe' | 'isLive'>;

/** For a process that is over before anything could change. */
export const noChanges: ChangeSource = { subscribe: () => undefined, isLive: () => false };

/**
 * Milliseconds for which a read may be remembered: long while changes are heard (a bound all the same, should a
 * notification ever be lost), else the second within which every process must see a change.
 */
export function memoryMs(changes: Pick<Changes, 'isLive'>): number {
  return changes.isLive() ? 60_000 : 1000;
}

interface ChangesOptions {
  connection: DatabaseConnection;
  logger: Logger;
  /** Milliseconds before the first attempt to connect again; each further one waits twice as long, 5 s at most. */
  retryMs: number;
}

const channel = 'countersign_changes';

/**
 * Connections die unnoticed in firewalls and failovers. A statement each second, which gets a second for its answer, finds
 * out within the two seconds that docs/operations.md promises.
 */
const heartbeatMs = 1000;

const longestRetryMs = 5000;

/** Listens on one connection of its own: LISTEN needs a session, and a pool gives none for good. */
export function createChanges(options: ChangesOptions): Changes {
  const { retryMs } = options;
  const outage = createOutageLog(options.logger);
  const subscribers: Subscriber[] = [];
  const closing = new AbortController();
  const { signal } = closing;
  let live = false;
  let loop: Promise<void> | undefined;
  let failures = 0;

  function onLive(isLive: boolean): void {
    live = isLive;
    if (!isLive) return;
    failures = 0;
    outage.ends();
  }

  async function listenAgainAndAgain(): Promise<void> {
    const isOver = (): boolean => signal.aborted;
    while (!isOver()) {
      const failure = await listen(options, { signal, subscribers, onLive }).catch(
        (error: unknown) => error,
      );
      if (!isOver()) outage.begins(failure);
      await pause(Math.min(retryMs * 2 ** failures, longestRetryMs), signal);
      failures += 1;
    }
  }

  return {
    subscribe(topic, forget) {
      subscribers.push({ topic, forget });
    },
    isLive: () => live,
    start() {
      if (!isBehindPgBouncer(options.connection)) loop ??= listenAgainAndAgain();
    },
    async close() {
      closing.abort();
      await loop;
    },
  };
}

/** Tells of an outage once, however many attempts fail, and of its end. */
function createOutageLog(logger: Logger): { begins(failure: unknown): void; ends(): void } {
  let isTold = false;
  return {
    begins(failure) {
      if (isTold) return;
      isTold = true;
      const reason = failure instanceof Error ? failure.message : String(failure);
      logger.warn('Changes of other processes are not heard', { reason });
    },
    ends() {
      if (!isTold) return;
      isTold = false;
      logger.info('Changes of other processes are heard again');
    },
  };
}

interface Subscriber {
  topic: ChangeTopic;
  forget: (key: string | undefined) => void;
}

interface Listening {
  signal: AbortSignal;
  subscribers: readonly Subscriber[];
  onLive: (isLive: boolean) => void;
}

/**
 * One session, until listening ends or it is lost: then resolves to why, or rejects. Whatever was remembered before and
 * after may be out of date.
 */
async function listen(
  { connection, retryMs }: ChangesOptions,
  { signal, subscribers, onLive }: Listening,
): Promise<unknown> {
  const socket = new Socket();
  const client = new pg.Client({
    ...connectionConfig(connection),
    stream: () => socket,
    connectionTimeoutMillis: retryMs * 5,
    query_timeout: heartbeatMs,
  });
  const lost = new Promise<unknown>((resolve) => {
    // For good: an error that nobody listens to ends the process, and a dying session may tell of several.
    client.on('error', resolve);
    client.on('end', () => {
      resolve('the session has ended');
    });
  });
  client.on('notification', ({ payload }) => {
    announce(subscribers, payload ?? '');
  });
  try {
    await client.connect();
    await client.query(`LISTEN ${channel}`);
    forgetEverything(subscribers);
    onLive(true);
    return await Promise.race([lost, beat(client, signal)]);
  } finally {
    onLive(false);
    forgetEverything(subscribers);
    await leave(client, socket);
  }
}

/** Says good-bye, which is cut short where the other side has gone silent. */
async function leave(client: pg.Client, socket: Socket): Promise<void> {
  const over = new AbortController();
  const left = client.end().catch(() => undefined);
  await Promise.race([left, pause(heartbeatMs, over.signal)]);
  over.abort();
  socket.destroy();
}

async function beat(client: pg.Client, signal: AbortSignal): Promise<void> {
  for (;;) {
    await pause(heartbeatMs, signal);
    if (signal.aborted) return;
    await client.query('SELECT 1');
  }
}

function forgetEverything(subscribers: readonly Subscriber[]): void {
  for (const { forget } of subscribers) forget(undefined);
}

function announce(subscribers: readonly Subscriber[], payload: string): void {
  const end = payload.indexOf(':');
  const topic = payload.slice(0, end);
  for (const { forget } of subscribers.filter((subscriber) => subscriber.topic === topic)) {
    forget(payload.slice(end + 1));
  }
}

/** Does not keep the process alive. */
async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  await wait(milliseconds, undefined, { signal, ref: false }).catch(() => undefined);
}
