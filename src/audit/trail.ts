import type { Clock } from '../clock.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import { alreadyRedacted } from '../observability/redact.ts';
import { currentRequest } from '../observability/request-context.ts';
import { writtenRow, type AuditRow, type AuditStore } from './audit-store.ts';
import { createBacklog } from './backlog.ts';
import { createCommitLoop } from './commit-loop.ts';
import type { AuditEntry } from './events.ts';
import { createStamp } from './stamp.ts';

/** Where everything that must be provable later is written down. Every entry is in the log as well. */
export interface AuditTrail {
  /** Notes the entry and returns at once; it is committed within the flush interval, or later when the database is away. */
  record(entry: AuditEntry): void;
  /** Resolves when the entry is committed; rejects with `database_unavailable` when an attempt to commit it failed. */
  recordDurably(entry: AuditEntry): Promise<void>;
  /** Has `listen` called with every entry as it is recorded. */
  subscribe(listen: (entry: AuditEntry) => void): void;
  /** Tries once to commit everything that was recorded before. Never rejects. */
  flush(): Promise<void>;
  /** Flushes for the last time, what came during a commit that failed too, and counts the rest as dropped. Entries that come later are logged and dropped. */
  close(): Promise<void>;
}

/** What the trail stands on, and its limits. */
export interface AuditTrailOptions {
  store: Pick<AuditStore, 'insertMany'>;
  clock: Clock;
  logger: Logger;
  metrics: Pick<Metrics, 'auditQueue' | 'auditDropped'>;
  /** Rows kept in memory while the database is away. */
  maxQueue: number;
  /** Milliseconds that a row may wait for company. */
  flushIntervalMs: number;
  /** Rows per statement. */
  batchSize: number;
}

/** Into the log line of its request, or as a line of its own. All of it was redacted when it was stamped. */
function logRow(logger: Logger, row: AuditRow, isUrgent: boolean): void {
  const { id, type, outcome, actorType, actorId, clientId, customerId, detail } = row;
  const event = {
    auditId: id,
    type,
    outcome,
    actorType,
    actorId: actorId ?? undefined,
    clientId: clientId ?? undefined,
    customerId: customerId ?? undefined,
    detail,
  };
  const events = isUrgent ? undefined : currentRequest()?.events;
  if (events !== undefined) events.push(event);
  else logger.info('Audit event', { ...event, detail: alreadyRedacted(detail) });
}

/**
 * A trail with group commit: rows are stamped when they are recorded and committed together. While the database is away they
 * wait in a bounded backlog and are tried again with growing pauses; what doesn't fit is counted and remains in the log.
 */
export function createAuditTrail(options: AuditTrailOptions): AuditTrail {
  const stamp = createStamp(options.clock);
  const backlog = createBacklog(options);
  const loop = createCommitLoop(backlog, options);
  const listeners: ((entry: AuditEntry) => void)[] = [];
  let closed = false;

  const add = (entry: AuditEntry, settle?: (failure?: Error) => void): void => {
    const stamped = stamp(entry);
    const row = writtenRow(stamped);
    logRow(options.logger, stamped, settle !== undefined);
    for (const listen of listeners) listen(entry);
    const pending = settle === undefined ? { row } : { row, settle };
    if (closed) {
      backlog.drop(pending, { reason: 'the trail is closed' });
      return;
    }
    backlog.add(pending);
    loop.wake(settle !== undefined);
  };
  return {
    record(entry) {
      add(entry);
    },
    recordDurably(entry) {
      return new Promise((resolve, reject) => {
        add(entry, (failure) => {
          if (failure === undefined) resolve();
          else reject(failure);
        });
      });
    },
    subscribe(listen) {
      listeners.push(listen);
    },
    flush: () => loop.attempt(),
    async close() {
      closed = true;
      const isUnderWay = loop.isRunning();
      await loop.attempt();
      if (isUnderWay) await loop.attempt();
      loop.stop();
      backlog.dropAll('the process stops');
    },
  };
}
