import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createCleanup, type CleanupOptions } from '../../src/database/cleanup.ts';
import { openDatabase, type Database } from '../../src/database/client.ts';
import { testDatabase, type TestDatabase } from '../support/database.ts';
import { silentLogger } from '../support/silent-logger.ts';

const now = new Date('2026-11-22T12:00:00Z');
const ago = (seconds: number) => new Date(now.getTime() - seconds * 1000);
const digest = (n: number) => Buffer.from(n.toString().padStart(32, '0'));
const customerId = (n: number) => `00000000-0000-7000-8000-00000000000${String(n)}`;

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

    await prisma.managedGrant.createMany({
      data: all.map(({ expiresAt }, i) => ({
        ...{ id: `grant-${String(i)}`, clientId: 'tpp', customerId: 'any', members: [], expiresAt },
        ...{ createdAt: expiresAt, updatedAt: expiresAt },
      })),
    });

    await prisma.customerSession.createMany({
      data: all.map(({ expiresAt }, i) => ({
        ...{ uidDigest: digest(i), customerId: 'any', expiresAt },
        ...{ firstSeenAt: expiresAt, lastSeenAt: expiresAt },
      })),
    });

    await prisma.customer.createMany({
      data: all.map(({ key }, i) => ({
        ...{ id: customerId(i), usernameDigest: key, passwordHash: 'any' },
        ...{ passwordChangedAt: expiries.valid, profile: key },
      })),
    });
    await prisma.customerPlace.createMany({
      data: all.map(({ expiresAt, key }, i) => ({
        ...{ customerId: customerId(i), place: key, expiresAt },
      })),
    });

    await prisma.loginPattern.createMany({
      data: all.map(({ expiresAt, key }) => ({
        patternDigest: key,
        accountDigest: key,
        expiresAt,
      })),
    });

    await prisma.rateLimit.createMany({
      data: all.map(({ expiresAt, key }) => ({
        ...{ keyDigest: key, at: 0, units: [1], drain: 0, ceiling: 1, granted: 0, expiresAt },
      })),
    });

    expect(await cleanup().runOnce()).toEqual({
      artifacts: 1,
      replay_identifiers: 1,
      revoked_tokens: 1,
      login_throttles: 1,
      login_patterns: 1,
      rate_limits: 1,
      initial_access_tokens: 1,
      consent_idempotency: 1,
      managed_grants: 1,
      customer_sessions: 1,
      customer_places: 1,
      api_keys: 0,
      event_deliveries: 0,
      audit_events: 0,
    });
    expect(await prisma.artifact.count()).toBe(3);
    const left = await prisma.replayIdentifier.findMany({ orderBy: { expiresAt: 'asc' } });
    expect(left.map((row) => row.expiresAt)).toEqual([expiries.margin, expiries.valid]);
  });

  it('deletes a key with its usage 400 days after its end', async () => {
    const { prisma } = database;
    const key = { prefix: 'ck_live_abcdef', name: 'key', createdBy: 'operator x', permissions: {} };
    const ended = [400 * 86_400 + 1, 400 * 86_400 - 1];
    await prisma.apiKey.createMany({
      data: ended.map((seconds, i) => ({
        ...{ ...key, id: String(i), digest: digest(i), createdAt: ago(500 * 86_400) },
        expiresAt: ago(seconds),
      })),
    });
    await prisma.apiKeyUsage.createMany({
      data: ended.map((_seconds, i) => ({
        ...{ keyId: String(i), day: ago(450 * 86_400), resourceServerIdentifier: 'api' },
      })),
    });
    expect(await cleanup().runOnce()).toMatchObject({ api_keys: 1 });
    expect(await prisma.apiKey.findMany({ select: { id: true } })).toEqual([{ id: '1' }]);
    expect(await prisma.apiKeyUsage.findMany({ select: { keyId: true } })).toEqual([
      { keyId: '1' },
    ]);
  });

  it('deletes what became of an event after a week, and never one that waits', async () => {
    const { prisma } = database;
    const client = { id: 'receiver', name: 'Receiver', metadata: {} };
    const stream = { id: 'stream', delivery: 'poll', algorithm: 'RS256', source: 'operator' };
    await prisma.client.create({ data: { ...client, eventStreams: { create: stream } } });
    const settled = { outcome: 'delivered', nextAttemptAt: null };
    const old = { streamId: 'stream', createdAt: ago(30 * 86_400) };
    await prisma.eventDelivery.createMany({
      data: [
        { ...old, ...settled, consentId: 'gone', version: 1, settledAt: ago(7 * 86_400 + 1) },
        { ...old, ...settled, consentId: 'shown', version: 1, settledAt: ago(7 * 86_400 - 1) },
        { ...old, consentId: 'waiting', version: 1, nextAttemptAt: ago(86_400) },
      ],
    });
    expect((await cleanup().runOnce()).event_deliveries).toBe(1);
    const left = await prisma.eventDelivery.findMany({ orderBy: { consentId: 'asc' } });
    expect(left.map(({ consentId }) => consentId)).toEqual(['shown', 'waiting']);
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
    await vi.waitFor(
      async () => {
        expect(await database.prisma.replayIdentifier.count()).toBe(0);
      },
      { timeout: 10_000 },
    );
    await addReplayIdentifiers(1, ago(400));
    await vi.waitFor(
      async () => {
        expect(await database.prisma.replayIdentifier.count()).toBe(0);
      },
      { timeout: 10_000 },
    );
    await scheduled.stop();
    const calls = onBacklog.mock.calls.length;
    await addReplayIdentifiers(1, ago(400));
    expect(await database.prisma.replayIdentifier.count()).toBe(1);
    expect(onBacklog.mock.calls).toHaveLength(calls);
  });
});
