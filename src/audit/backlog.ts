import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import { Problem } from '../problem.ts';
import type { WrittenRow } from './audit-store.ts';

/** A row that is not committed yet. */
export interface Pending {
  row: WrittenRow;
  /** Set when somebody waits for the commit. */
  settle?: (failure?: Problem) => void;
}

/** The rows that wait, oldest first. */
export interface Backlog {
  size(): number;
  /** Appends the row; drops it when the backlog is full. */
  add(pending: Pending): void;
  /** The oldest `count` rows, which stay until they are removed. */
  oldest(count: number): readonly Pending[];
  removeOldest(count: number): void;
  /** Takes out the rows that somebody waits for, and tells them. */
  giveUpAwaited(cause: unknown): void;
  /** Counts, logs and tells the loss of a row that is not, or no longer, in the backlog. */
  drop(pending: Pending, loss: { reason: string; cause?: unknown }): void;
  dropAll(reason: string): void;
}

/** What the backlog stands on, and its limit in rows. */
export interface BacklogOptions {
  logger: Logger;
  metrics: Pick<Metrics, 'auditQueue' | 'auditDropped'>;
  maxQueue: number;
}

/** An empty backlog. The entry itself is in the log already, so a dropped row is named by its id only. */
export function createBacklog({ logger, metrics, maxQueue }: BacklogOptions): Backlog {
  let rows: Pending[] = [];
  const keep = (next: Pending[]): void => {
    rows = next;
    metrics.auditQueue.set({}, rows.length);
  };
  const drop: Backlog['drop'] = (pending, { reason, cause }) => {
    metrics.auditDropped.increment({});
    logger.error('Audit event not stored', { auditId: pending.row.id, reason, cause });
    pending.settle?.(new Problem('database_unavailable', { detail: `audit: ${reason}`, cause }));
  };
  return {
    size: () => rows.length,
    add(pending) {
      if (rows.length >= maxQueue) {
        drop(pending, { reason: 'the queue is full' });
        return;
      }
      rows.push(pending);
      metrics.auditQueue.set({}, rows.length);
    },
    oldest: (count) => rows.slice(0, count),
    removeOldest(count) {
      keep(rows.slice(count));
    },
    giveUpAwaited(cause) {
      const awaited = rows.filter(({ settle }) => settle !== undefined);
      // Their callers give up, so rows written later would tell of things that didn't happen.
      keep(rows.filter(({ settle }) => settle === undefined));
      for (const pending of awaited) drop(pending, { reason: 'one attempt failed', cause });
    },
    drop,
    dropAll(reason) {
      const lost = rows;
      keep([]);
      for (const pending of lost) drop(pending, { reason });
    },
  };
}
