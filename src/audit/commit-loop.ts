import type { Logger } from '../observability/logger.ts';
import { runWithoutRequest } from '../observability/request-context.ts';
import { isRowRefused, type AuditStore } from './audit-store.ts';
import type { Backlog, Pending } from './backlog.ts';

/** Commits the backlog, one batch at a time; what arrives during a commit goes into the next one. */
export interface CommitLoop {
  /** To be called after rows were added; `urgent` when somebody waits for them. */
  wake(urgent: boolean): void;
  /** One attempt to commit everything that is in the backlog now. Never rejects. */
  attempt(): Promise<void>;
  /** Whether a commit is under way; where it fails, the rows that came during it were not tried. */
  isRunning(): boolean;
  stop(): void;
}

/** What the loop stands on, and its rhythm. */
export interface CommitLoopOptions {
  store: Pick<AuditStore, 'insertMany'>;
  logger: Logger;
  /** Milliseconds that a row may wait for company. */
  flushIntervalMs: number;
  /** Rows per statement. */
  batchSize: number;
}

const maxBackoffMs = 30_000;

/** Between attempts while the database is away: 0.5 s, doubled each time, at most 30 s. */
function backoffMs(failures: number): number {
  return Math.min(500 * 2 ** (failures - 1), maxBackoffMs);
}

/**
 * Commits the oldest rows and takes them out of the backlog, statement by statement: what is done stays done when the database
 * goes away in between. Rows that the database refuses for what they are get dropped alone; other failures are thrown.
 */
async function commitRows(
  store: CommitLoopOptions['store'],
  backlog: Backlog,
  batch: readonly Pending[],
): Promise<void> {
  try {
    await store.insertMany(batch.map(({ row }) => row));
  } catch (error) {
    if (!isRowRefused(error)) throw error;
    const [only, second] = batch;
    if (only !== undefined && second === undefined) {
      backlog.removeOldest(1);
      backlog.drop(only, { reason: 'refused by the database', cause: error });
      return;
    }
    for (const pending of batch) await commitRows(store, backlog, [pending]);
    return;
  }
  backlog.removeOldest(batch.length);
  for (const { settle } of batch) settle?.();
}

/** A loop over `backlog`; its timers don't keep the process alive unless somebody waits for a commit. */
export function createCommitLoop(backlog: Backlog, options: CommitLoopOptions): CommitLoop {
  const { store, logger, flushIntervalMs, batchSize } = options;
  let running: Promise<void> | undefined;
  let timer: { handle: NodeJS.Timeout; delayMs: number } | undefined;
  let failures = 0;
  let isUrgent = false;

  const commitOldest = async (): Promise<void> => {
    await commitRows(store, backlog, backlog.oldest(batchSize));
    failures = 0;
  };
  const cancelTimer = (): void => {
    clearTimeout(timer?.handle);
    timer = undefined;
  };
  const delayMs = (): number => {
    if (isUrgent) return 0;
    if (failures > 0) return backoffMs(failures);
    return backlog.size() >= batchSize ? 0 : flushIntervalMs;
  };
  const schedule = (): void => {
    const wanted = delayMs();
    if (timer === undefined || timer.delayMs > wanted) {
      cancelTimer();
      timer = { handle: setTimeout(() => void run(), wanted).unref(), delayMs: wanted };
    }
    if (isUrgent) timer.handle.ref();
  };
  const fail = (error: unknown): void => {
    failures += 1;
    backlog.giveUpAwaited(error);
    isUrgent = false;
    logger.warn('Audit events wait for the database', { waiting: backlog.size(), error });
  };
  const drain = async (): Promise<void> => {
    try {
      while (backlog.size() > 0) await commitOldest();
    } catch (error) {
      fail(error);
    }
    // In one go with the last look at the backlog: a row added in between would wait for nobody.
    running = undefined;
    if (backlog.size() > 0) schedule();
    else isUrgent = false;
  };
  const run = (): Promise<void> => {
    cancelTimer();
    if (backlog.size() === 0) return running ?? Promise.resolve();
    // Or it would log under the request that happened to start it.
    running ??= runWithoutRequest(drain);
    return running;
  };
  return {
    wake(urgent) {
      isUrgent ||= urgent;
      if (running === undefined) schedule();
    },
    // A commit under way takes the rows added since it began as well, unless it fails.
    attempt: run,
    isRunning: () => running !== undefined,
    stop: cancelTimer,
  };
}
