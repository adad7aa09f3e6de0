import { setTimeout as wait } from 'node:timers/promises';
import type { Database } from '../database/client.ts';
import type { Readiness } from '../http/health.ts';
import type { Metrics } from '../observability/metrics.ts';

/** How far the process is, and its database once it has one. */
export interface ServerState {
  phase: 'starting' | 'serving' | 'stopping';
  database?: { database: Pick<Database, 'ping'> };
}

/** Less than the operations port waits for a check, so that a silent database is known as such and not as "no answer". */
const pingTimeoutMs = 1500;

/** Asks the database, and sets countersign_database_up by its answer. Never rejects. */
export async function readinessOf(
  { phase, database }: ServerState,
  { databaseUp }: Pick<Metrics, 'databaseUp'>,
): Promise<Readiness> {
  const server = phase === 'serving' ? 'ok' : phase;
  const isUp = database !== undefined && (await answers(database.database));
  databaseUp.set({}, isUp ? 1 : 0);
  if (database === undefined) return { ready: false, checks: { server, database: 'starting' } };
  return {
    ready: isUp && phase === 'serving',
    checks: { server, database: isUp ? 'ok' : 'unavailable' },
  };
}

async function answers(database: Pick<Database, 'ping'>): Promise<boolean> {
  const over = new AbortController();
  const ping = database.ping().then(
    () => true,
    () => false,
  );
  const late = wait(pingTimeoutMs, false, { signal: over.signal, ref: false }).catch(() => false);
  const isUp = await Promise.race([ping, late]);
  over.abort();
  return isUp;
}
