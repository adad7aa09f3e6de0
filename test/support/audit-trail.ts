import type { AuditRow, WrittenRow } from '../../src/audit/audit-store.ts';
import type { AuditEntry } from '../../src/audit/events.ts';
import { createAuditTrail, type AuditTrailOptions } from '../../src/audit/trail.ts';
import { createMetrics } from '../../src/observability/metrics.ts';
import { recordingLogger } from './recording-logger.ts';

/** An entry like any other. */
export const entry: AuditEntry = {
  type: 'token.issued',
  outcome: 'success',
  actor: { type: 'client', id: 'tpp' },
  clientId: 'tpp',
};
/** What a database says that is away. */
export const away = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
/** Stands still. */
export const clock = { now: () => new Date('2026-11-22T10:00:00Z') };

function readBack({ json }: WrittenRow): AuditRow {
  const row = JSON.parse(json) as AuditRow;
  return { ...row, at: new Date(row.at) };
}

/** A store whose behaviour a test can change while it runs. */
function scriptedStore() {
  const batches: AuditRow[][] = [];
  const attempts: number[] = [];
  const store = {
    batches,
    attempts,
    answer: (): Promise<void> => Promise.resolve(),
    async insertMany(rows: readonly WrittenRow[]): Promise<void> {
      attempts.push(rows.length);
      await store.answer();
      batches.push(rows.map(readBack));
    },
  };
  return store;
}

/** A trail over such a store, what it logs, and what its metrics say. */
export function setUp(limits: Partial<AuditTrailOptions> = {}) {
  const store = scriptedStore();
  const metrics = createMetrics();
  const { logger, lines } = recordingLogger();
  const trail = createAuditTrail({
    ...{ store, clock, logger, metrics, maxQueue: 100, flushIntervalMs: 1000, batchSize: 10 },
    ...limits,
  });
  const valueOf = async (metric: string): Promise<number> => {
    const line = new RegExp(`^${metric} (\\d+)$`, 'm').exec(await metrics.text());
    return Number(line?.[1]);
  };
  return { store, trail, lines, valueOf };
}
