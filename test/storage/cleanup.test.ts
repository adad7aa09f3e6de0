import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createCleanup, type CleanupOptions } from '../../src/database/cleanup.ts';
import { openDatabase, type Database } from '../../src/database/client.ts';
import { testDatabase, type TestDatabase } from '../support/database.ts';
import { silentLogger } from '../support/silent-logger.ts';

const now = new Date('2026-11-22T12:00:00Z');
const ago = (seconds: number) => new Date(now.getTime() - seconds * 1000);
const digest = (n: number) => Buffer.from(n.toString().padStart(32, '0'));

let stored: TestDatabase;
let database: Database;

beforeEach(async () => {
  stored = await testDatabase();
  database = open();
});

afterEach(async () => {
  await database.close();
  await stored.close();
});

function open(): Database {
  return openDatabase({
    connection: stored.connection,
    poolSize: 3,
    statementTimeoutMs: 5_000,
    connectTimeoutMs: 5_000,
    logger: silentLogger,
  });
}

function cleanup(options: Partial<CleanupOptions> = {}) {
  return createCleanup({
    prisma: database.prisma,
    clock: { now: () => now },
    logger: silentLogger,
    batchSize: 100,
    intervalMs: 3_600_000,
    onBacklog: () => undefined,
    ...options,
  });
}

async function addReplayIdentifiers(count: number, expiresAt: Date): Promise<void> {
  const data = Array.from({ length: count }, (_none, i) => ({ digest: digest(i), expiresAt }));
  await database.prisma.replayIdentifier.createMany({ data });
}

/** Counts the statements that reach the database through `prisma`. */
function counted(prisma: CleanupOptions['prisma']) {
  const affected: number[] = [];
  const counting: CleanupOptions['prisma'] = {
    $queryRaw: prisma.$queryRaw.bind(prisma),
    $executeRaw: ((query: TemplateStringsArray) =>
      prisma.$executeRaw(query).then((rows) => {
        affected.push(rows);
        return rows;
      })) as CleanupOptions['prisma']['$executeRaw'],
  };
  return { counting, affected };
}

describe('a run', () => {
  it('deletes what expired more than five minutes ago from every table, and nothing else', async () => {
    const { prisma } = database;
    const expiries = { gone: ago(301), margin: ago(299), valid: ago(-600) };
    const all = Object.values(expiries).map((expiresAt, i) => ({ expiresAt, key: digest(i) }));
    await prisma.artifact.createMany({
      data: [
        ...all.map(({ expiresAt, key }) => ({
          kind: 'Session',
          idDigest: key,
          payload: key,
          expiresAt,
        })),
        { kind: 'Grant', idDigest: digest(9), payload: digest(9), expiresAt: null },
      ],
    });
    await prisma.replayIdentifier.createMany({
      data: all.map(({ expiresAt, key }) => ({ digest: key, expiresAt })),
    });
    await prisma.revokedToken.createMany({
      data: all.map(({ expiresAt, key }) => ({ jtiDigest: key, expiresAt })),
    });
    await prisma.loginThrottle.createMany({
      data: all.map(({ expiresAt, key }) => ({ keyDigest: key, failures: 1, expiresAt })),
    });
    await prisma.initialAccessToken.createMany({
      data: all.map(({ expiresAt, key }) => ({
        digest: key,
        permissions: {},
        profile: 'baseline',
        expiresAt,
      })),
    });

    await prisma.consentIdempotency.createMany({
      data: all.map(({ expiresAt, key }, i) => ({
        ...{ clientId: 'tpp', endpoint: 'consent', key: String(i), consentId: 'any' },
        ...{ requestDigest: key, expiresAt },
      })),
    });

    expect(await cleanup().runOnce()).toEqual({
      artifacts: 1,
      replay_identifiers: 1,
      revoked_tokens: 1,
      login_throttles: 1,
      initial_access_tokens: 1,
      consent_idempotency: 1,
      audit_events: 0,
    });
    expect(await prisma.artifact.count()).toBe(3);
    const left = await prisma.replayIdentifier.findMany({ orderBy: { expiresAt: 'asc' } });
    expect(left.map((row) => row.expiresAt)).toEqual([expiries.margin, expiries.valid]);
  });

  it('works in batches of the given size', async () => {
    await addReplayIdentifiers(250, ago(400));
    const { counting, affected } = counted(database.prisma);
    const deleted = await cleanup({ prisma: counting }).runOnce();
    expect(deleted.replay_identifiers).toBe(250);
    expect(affected.filter((rows) => rows > 0)).toEqual([100, 100, 50]);
  });

  it('keeps audit events unless it is told for how long', async () => {
    const event = { type: 'token.issued', outcome: 'success', actorType: 'client' };
    await database.prisma.auditEvent.createMany({
      data: [31, 29].map((days) => ({
        ...event,
        id: `00000000-0000-7000-8000-0000000000${String(days)}`,
        at: ago(days * 86_400),
      })),
    });
    expect((await cleanup().runOnce()).audit_events).toBe(0);
    expect((await cleanup({ auditRetentionDays: 30 }).runOnce()).audit_events).toBe(1);
  });

  it('leaves rows that a request is using, and says what is left', async () => {
    await addReplayIdentifiers(3, ago(400));
    const onBacklog = vi.fn<CleanupOptions['onBacklog']>();
    await database.prisma.$transaction(async (request) => {
      await request.$queryRaw`SELECT 1 FROM replay_identifiers WHERE digest = ${digest(1)} FOR UPDATE`;
      expect((await cleanup({ onBacklog }).runOnce()).replay_identifiers).toBe(2);
    });
    expect(onBacklog).toHaveBeenCalledWith('replay_identifiers', {
      expiredRows: 1,
      oldestExpiredSeconds: 100,
    });
    expect(onBacklog).toHaveBeenCalledWith('artifacts', {
      expiredRows: 0,
      oldestExpiredSeconds: 0,
    });
  });

  it('goes on with the other tables when one fails', async () => {
    await addReplayIdentifiers(1, ago(400));
    await database.prisma.$executeRaw`DROP TABLE artifacts`;
    const error = vi.fn();
    const deleted = await cleanup({ logger: { ...silentLogger, error } }).runOnce();
    expect(deleted).toMatchObject({ artifacts: 0, replay_identifiers: 1 });
    expect(error).toHaveBeenCalledOnce();
  });
});

describe('several processes', () => {
  it('delete each row once between them', async () => {
    await addReplayIdentifiers(2_000, ago(400));
    const other = open();
    const runs = await Promise.all([
      cleanup().runOnce(),
      cleanup({ prisma: other.prisma }).runOnce(),
    ]);
    await other.close();
    expect(runs.reduce((sum, run) => sum + run.replay_identifiers, 0)).toBe(2_000);
    expect(await database.prisma.replayIdentifier.count()).toBe(0);
  });

  it('take turns: nothing is deleted while another one has its turn', async () => {
    await addReplayIdentifiers(1, ago(400));
    await database.prisma.$transaction(async (another) => {
      await another.$queryRaw`SELECT 1 FROM pg_advisory_xact_lock(${0x636c6561}::bigint)`;
      expect((await cleanup().runOnce()).replay_identifiers).toBe(0);
    });
    expect((await cleanup().runOnce()).replay_identifiers).toBe(1);
  });
});

describe('the schedule', () => {
  it('runs when started and every interval, until it is stopped', async () => {
    const onBacklog = vi.fn<CleanupOptions['onBacklog']>();
    const scheduled = cleanup({ intervalMs: 5, onBacklog });
    await addReplayIdentifiers(1, ago(400));
    scheduled.start();
    await vi.waitFor(async () => {
      expect(await database.prisma.replayIdentifier.count()).toBe(0);
    });
    await addReplayIdentifiers(1, ago(400));
    await vi.waitFor(async () => {
      expect(await database.prisma.replayIdentifier.count()).toBe(0);
    });
    await scheduled.stop();
    const calls = onBacklog.mock.calls.length;
    await addReplayIdentifiers(1, ago(400));
    expect(await database.prisma.replayIdentifier.count()).toBe(1);
    expect(onBacklog.mock.calls).toHaveLength(calls);
  });
});
