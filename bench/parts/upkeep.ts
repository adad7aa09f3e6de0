import pg from 'pg';
import { systemClock } from '../../src/clock.ts';
import { createCleanup } from '../../src/database/cleanup.ts';
import { openDatabase } from '../../src/database/client.ts';
import { createLogger } from '../../src/observability/logger.ts';
import type { FlowName } from './figures.ts';
import { measure } from './measure.ts';
import type { Processes, Sample } from './measure.ts';

/** One flow without and with upkeep of its database. */
export interface UpkeepFinding {
  flow: FlowName;
  quiet: readonly Sample[];
  busy: readonly Sample[];
}

/** Expired rows that wait for the cleanup, before each slot. */
export const upkeepRows = 100_000;

const flows = ['client-credentials', 'refresh-rotating', 'introspection-opaque'] as const;
const turns = 3;
const slotMs = 1000;

/** What callers notice while expired rows are deleted and the table is vacuumed, in turn with slots in which neither happens. */
export async function measureUpkeep(
  processes: Processes,
  databaseUrl: string,
  progress: (text: string) => void,
): Promise<UpkeepFinding[]> {
  progress('cleaning up under load');
  const findings: UpkeepFinding[] = [];
  for (const flow of flows) {
    const quiet: Sample[] = [];
    const busy: Sample[] = [];
    for (let turn = 0; turn < turns; turn += 1) {
      const slot = { servers: ['large' as const], flow, milliseconds: slotMs };
      quiet.push(await measure(processes, slot));
      await using upkeep = await startUpkeep(databaseUrl);
      busy.push(await measure(processes, slot));
      upkeep.stop();
    }
    findings.push({ flow, quiet, busy });
  }
  return findings;
}

/** Both without pause until it is stopped; disposed of when the last statement is over. */
async function startUpkeep(databaseUrl: string) {
  const client = new pg.Client({ connectionString: databaseUrl, application_name: vacuumName });
  await client.connect();
  await fillUpExpired(client);
  const stopping = new AbortController();
  const work = Promise.all([
    cleanUp(databaseUrl, stopping.signal),
    again(stopping.signal, () => vacuum(client)),
  ]);
  return {
    stop() {
      stopping.abort();
    },
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await cancelVacuum(databaseUrl);
      await work;
      await client.end();
    },
  };
}

const vacuumName = 'bench vacuum';
const queryCanceled = '57014';

async function vacuum(client: pg.Client): Promise<void> {
  try {
    await client.query('VACUUM (ANALYZE) artifacts');
  } catch (error) {
    if ((error as { code?: unknown }).code !== queryCanceled) throw error;
  }
}

/** A whole pass over the table takes longer than a slot. */
async function cancelVacuum(databaseUrl: string): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query(
    'SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = $1',
    [vacuumName],
  );
  await client.end();
}

/** The server's own cleanup, with its own batches. */
async function cleanUp(databaseUrl: string, signal: AbortSignal): Promise<void> {
  const logger = createLogger({ level: 'warn', format: 'text', destination: process.stderr });
  const database = openDatabase({
    connection: { connectionString: databaseUrl },
    poolSize: 1,
    statementTimeoutMs: 30_000,
    connectTimeoutMs: 5000,
    logger,
  });
  const cleanup = createCleanup({
    prisma: database.prisma,
    clock: systemClock,
    logger,
    batchSize: 500,
    intervalMs: 60_000,
    onBacklog: () => undefined,
  });
  try {
    await again(signal, () => cleanup.runOnce());
  } finally {
    await database.close();
  }
}

async function again(signal: AbortSignal, work: () => Promise<unknown>): Promise<void> {
  while (!signal.aborted) await work();
}

/** What an earlier slot has left counts. */
async function fillUpExpired(client: pg.Client): Promise<void> {
  await client.query(
    `INSERT INTO artifacts (kind, id_digest, payload, grant_digest, client_id, customer_id, expires_at)
     SELECT 'AccessToken', sha256((gen_random_uuid())::text::bytea), $1, sha256(n::text::bytea), 'tpp-0',
       'customer-0', now() - interval '1 day'
     FROM generate_series(1, $2::int - (SELECT count(*) FROM artifacts WHERE expires_at < now())::int) n`,
    [Buffer.alloc(300, 1), upkeepRows],
  );
}
