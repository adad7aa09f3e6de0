import { setTimeout as wait } from 'node:timers/promises';
import type { Clock } from '../clock.ts';
import type { Logger } from '../observability/logger.ts';
import { createRepeatedWork } from '../observability/repeated-work.ts';
import type { RepeatedWork } from '../observability/repeated-work.ts';
import { Prisma, type PrismaClient } from './generated/client.ts';

/** Tables that are cleaned, and the column whose age decides. */
const COLUMNS = {
  artifacts: 'expires_at',
  replay_identifiers: 'expires_at',
  revoked_tokens: 'expires_at',
  login_throttles: 'expires_at',
  login_patterns: 'expires_at',
  rate_limits: 'expires_at',
  initial_access_tokens: 'expires_at',
  consent_idempotency: 'expires_at',
  api_keys: 'expires_at',
  event_deliveries: 'settled_at',
  managed_grants: 'expires_at',
  customer_sessions: 'expires_at',
  customer_places: 'expires_at',
  audit_events: 'at',
} as const;

/** A table that is cleaned. */
export type CleanedTable = keyof typeof COLUMNS;

/** What is left in a table that should be gone; both 0 in a healthy service. */
export interface Backlog {
  /** Counted up to 100 000. */
  expiredRows: number;
  oldestExpiredSeconds: number;
}

/** What the cleanup needs and how it goes about it. */
export interface CleanupOptions {
  prisma: Pick<PrismaClient, '$executeRaw' | '$queryRaw'>;
  clock: Clock;
  logger: Logger;
  /** Rows per statement. */
  batchSize: number;
  /** Time from the end of one run to the next. */
  intervalMs: number;
  /** Days that audit events are kept; without it they stay. */
  auditRetentionDays?: number | undefined;
  /** Told of each table's deleted rows. */
  onDeleted?: (table: CleanedTable, rows: number) => void;
  /** Told after each run, per table. */
  onBacklog: (table: CleanedTable, backlog: Backlog) => void;
}

/** Deletes what has expired. */
export interface Cleanup extends RepeatedWork {
  /** One run: rows deleted per table. A table that fails is logged and counts 0; the others are cleaned. */
  runOnce(): Promise<Record<CleanedTable, number>>;
}

/**
 * Clocks of several machines differ, and one that is set right may jump back by a minute or two: whoever used a row up
 * must not meet a time again in which it would be valid and is forgotten.
 */
const MARGIN_SECONDS = 300;
const DAY_SECONDS = 86_400;
/** How often a key was used goes with it: a year can be looked back upon, and compared with the month before. */
const ENDED_KEY_SECONDS = 400 * DAY_SECONDS;
/** Events that were delivered, or given up: operators look at what became of the last ones. */
const SETTLED_SECONDS = 7 * DAY_SECONDS;
/** Between two batches, so that requests get their turn on the disk. */
const PAUSE_MS = 20;
const COUNT_LIMIT = 100_000;
/** Any number of our own. */
const CLEANUP_LOCK = 0x636c6561;

/** A table with the moment before which its rows may go. */
interface Task {
  table: CleanedTable;
  before: Date;
}

/** Names come from {@link COLUMNS} only, so they are no way in for SQL. */
function names(table: CleanedTable): { from: Prisma.Sql; column: Prisma.Sql } {
  return { from: Prisma.raw(table), column: Prisma.raw(COLUMNS[table]) };
}

/**
 * One batch, oldest first. One process at a time: the lock lasts as long as the statement, and where another one holds
 * it nothing is deleted. Rows that a request is using are left for the next time.
 */
function deleteBatch({ table, before }: Task, limit: number): Prisma.Sql {
  const { from, column } = names(table);
  return Prisma.sql`
    WITH turn AS MATERIALIZED (SELECT pg_try_advisory_xact_lock(${CLEANUP_LOCK}::bigint) AS mine)
    DELETE FROM ${from} WHERE ctid = ANY (ARRAY(
      SELECT ctid FROM ${from}
      WHERE ${column} < ${before}::timestamptz AND (SELECT mine FROM turn)
      ORDER BY ${column} LIMIT ${limit}::int FOR UPDATE SKIP LOCKED))`;
}

function measure({ table, before }: Task): Prisma.Sql {
  const { from, column } = names(table);
  return Prisma.sql`
    SELECT count(*)::int AS rows, min(expired.moment) AS oldest FROM (
      SELECT ${column} AS moment FROM ${from} WHERE ${column} < ${before}::timestamptz
      ORDER BY ${column} LIMIT ${COUNT_LIMIT}::int) AS expired`;
}

function tasks({ clock, auditRetentionDays }: CleanupOptions): Task[] {
  const now = clock.now().getTime();
  const before = (seconds: number) => new Date(now - seconds * 1000);
  const kept: Partial<Record<CleanedTable, number>> = {
    artifacts: MARGIN_SECONDS,
    replay_identifiers: MARGIN_SECONDS,
    revoked_tokens: MARGIN_SECONDS,
    login_throttles: MARGIN_SECONDS,
    login_patterns: MARGIN_SECONDS,
    rate_limits: MARGIN_SECONDS,
    initial_access_tokens: MARGIN_SECONDS,
    consent_idempotency: MARGIN_SECONDS,
    api_keys: ENDED_KEY_SECONDS,
    event_deliveries: SETTLED_SECONDS,
    managed_grants: MARGIN_SECONDS,
    customer_sessions: MARGIN_SECONDS,
    customer_places: MARGIN_SECONDS,
    ...(auditRetentionDays !== undefined && { audit_events: auditRetentionDays * DAY_SECONDS }),
  };
  return Object.entries(kept).map(([table, seconds]) => ({
    table: table as CleanedTable,
    before: before(seconds),
  }));
}

/** Deletes batch after batch until one is not full, or until `signal`. */
async function cleanTable(
  task: Task,
  { prisma, batchSize }: CleanupOptions,
  signal: AbortSignal,
): Promise<number> {
  let deleted = 0;
  while (!signal.aborted) {
    const count = await prisma.$executeRaw(deleteBatch(task, batchSize));
    deleted += count;
    if (count < batchSize) break;
    await wait(PAUSE_MS, undefined, { signal }).catch(() => undefined);
  }
  return deleted;
}

async function reportBacklog(task: Task, { prisma, onBacklog }: CleanupOptions): Promise<void> {
  const [found] = await prisma.$queryRaw<{ rows: number; oldest: Date | null }[]>(measure(task));
  const age = found?.oldest ? (task.before.getTime() - found.oldest.getTime()) / 1000 : 0;
  onBacklog(task.table, { expiredRows: found?.rows ?? 0, oldestExpiredSeconds: Math.round(age) });
}

async function run(
  options: CleanupOptions,
  signal: AbortSignal,
): Promise<Record<CleanedTable, number>> {
  const deleted: Record<CleanedTable, number> = {
    artifacts: 0,
    replay_identifiers: 0,
    revoked_tokens: 0,
    login_throttles: 0,
    login_patterns: 0,
    rate_limits: 0,
    initial_access_tokens: 0,
    consent_idempotency: 0,
    api_keys: 0,
    event_deliveries: 0,
    managed_grants: 0,
    customer_sessions: 0,
    customer_places: 0,
    audit_events: 0,
  };
  for (const task of tasks(options)) {
    if (signal.aborted) break;
    try {
      deleted[task.table] = await cleanTable(task, options, signal);
      options.onDeleted?.(task.table, deleted[task.table]);
      await reportBacklog(task, options);
    } catch (error) {
      options.logger.error('Expired rows were not deleted; trying again later', {
        table: task.table,
        error,
      });
    }
  }
  return deleted;
}

/**
 * Creates the cleanup of expired rows. Every process of a service may run one: they take turns batch by batch. Its
 * timer does not keep the process alive.
 */
export function createCleanup(options: CleanupOptions): Cleanup {
  const { logger, intervalMs } = options;
  const work = createRepeatedWork({
    run: (signal) => run(options, signal),
    // Each table's failure is told of by itself; this would be one of ours.
    onFailure(error) {
      logger.error('The cleanup failed; trying again later', { error });
    },
    ...{ intervalMs, first: 'now' },
  });
  return { ...work, runOnce: () => run(options, new AbortController().signal) };
}
