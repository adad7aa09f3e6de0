import type * as timers from 'node:timers/promises';
import { setImmediate } from 'node:timers/promises';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { AuditEntry } from '../../src/audit/events.ts';
import { createMetrics } from '../../src/observability/metrics.ts';
import { createDelivery } from '../../src/security-events/delivery.ts';
import type { Delivery } from '../../src/security-events/delivery.ts';
import type { ClaimedEvent, LostEvent, Outbox } from '../../src/security-events/outbox-store.ts';
import type { Verdict } from '../../src/security-events/security-event.ts';
import { recordingLogger } from '../support/recording-logger.ts';

/** While it is frozen, nothing looks by itself. */
const looking = vi.hoisted(() => ({ isFrozen: false }));

vi.mock('node:timers/promises', async (original) => {
  const real = await original<typeof timers>();
  const setTimeout: typeof real.setTimeout = (delay, value, options) =>
    real.setTimeout(looking.isFrozen ? 2 ** 31 - 1 : delay, value, options);
  return { ...real, setTimeout };
});

let delivery: Delivery | undefined;

afterEach(async () => {
  looking.isFrozen = false;
  await delivery?.stop();
});

function event(jti: string, streamId = 'one'): ClaimedEvent {
  return {
    ...{ jti, streamId, createdAt: new Date(0), audience: 'tpp', algorithm: 'RS256' },
    ...{ consentId: `consent of ${jti}`, version: 1, move: 'create', state: 'x', at: new Date(0) },
    ...{ by: 'client', reason: null, requestId: null, clientId: 'tpp', consentType: 'accounts' },
    ...{ endpoint: '', authorization: null, attempts: 1, failures: 2 },
  };
}

/** A delivery over an outbox that gives out what the test puts in. */
function setUp() {
  const queue: ClaimedEvent[] = [];
  const asked: { busy: readonly string[]; limit: number }[] = [];
  const settled: string[] = [];
  const lost: LostEvent[] = [];
  const audited: AuditEntry[] = [];
  const answers = new Map<string, (verdict: Verdict) => void>();
  const metrics = createMetrics();
  const { logger, lines } = recordingLogger();
  let hear = (): void => undefined;
  let isAway = false;
  const lease = { endsAt: 0, attemptEndsAt: 0 };
  const note = (what: string) => (key: { consentId: string }, more?: unknown) => {
    const about = more === undefined ? '' : ` ${JSON.stringify(more)}`;
    settled.push(`${what} ${key.consentId}${about}`);
    return Promise.resolve();
  };
  const outbox: Outbox = {
    claim({ busy, limit, leaseMs }) {
      if (isAway) return Promise.reject(new Error('connect ECONNREFUSED'));
      lease.endsAt = performance.now() + leaseMs;
      asked.push({ busy, limit });
      return Promise.resolve(queue.splice(0));
    },
    authorizationOf: () => undefined,
    delivered: note('delivered'),
    async rejected(key, reason) {
      await note('rejected')(key, reason);
      return key.consentId !== 'consent of taken';
    },
    ...{ postpone: note('postponed'), release: note('released') },
    heads: () => Promise.resolve({ events: [], more: false }),
    acknowledge: () => Promise.resolve(0),
    refuse: () => Promise.resolve([]),
    expire: () => Promise.resolve(lost.splice(0)),
    backlog: () => Promise.resolve([{ delivery: 'poll', pending: 7, oldestSeconds: 12 }]),
  };
  delivery = createDelivery({
    ...{ outbox, metrics, logger, random: () => 0 },
    push({ jti }, endsAt) {
      lease.attemptEndsAt = endsAt;
      return new Promise((resolve) => answers.set(jti, resolve));
    },
    changes: {
      subscribe(_topic, onChange) {
        hear = onChange;
      },
      isLive: () => true,
    },
    limits: { timeoutMs: 1000, longestRetryMs: 60_000, maxAgeMs: 1000 },
    audit: { record: (entry) => audited.push(entry) },
  });
  return {
    delivery,
    ...{ queue, asked, settled, lost, audited, answers, metrics, lines, lease },
    change: () => {
      hear();
    },
    setAway(away: boolean) {
      isAway = away;
    },
    answer(jti: string, verdict: Verdict) {
      const answer = answers.get(jti);
      if (answer === undefined) throw new Error(`${jti} is not on its way`);
      answer(verdict);
    },
  };
}

const delivered: Verdict = { outcome: 'delivered' };

describe('Delivery', () => {
  it('begins with what is there, and looks again at once when something changes', async () => {
    looking.isFrozen = true;
    const world = setUp();
    world.queue.push(event('first'));
    world.delivery.start();
    await vi.waitFor(
      () => {
        expect(world.answers.has('first')).toBe(true);
      },
      { timeout: 10_000 },
    );
    world.answer('first', delivered);
    await vi.waitFor(
      () => {
        expect(world.settled).toEqual(['delivered consent of first']);
      },
      { timeout: 10_000 },
    );
    world.queue.push(event('second'));
    world.change();
    await vi.waitFor(
      () => {
        expect(world.answers.has('second')).toBe(true);
      },
      { timeout: 10_000 },
    );
    world.answer('second', delivered);
  });

  it('gives a receiver no more than its share while it does not answer', async () => {
    const world = setUp();
    world.queue.push(...Array.from({ length: 9 }, (_, i) => event(`slow ${String(i)}`, 'slow')));
    world.delivery.start();
    await vi.waitFor(
      () => {
        expect(world.answers.size).toBe(9);
      },
      { timeout: 10_000 },
    );
    world.change();
    await vi.waitFor(
      () => {
        expect(world.asked.at(-1)).toEqual({ busy: ['slow'], limit: 128 - 9 });
      },
      { timeout: 10_000 },
    );
    for (const jti of world.answers.keys()) world.answer(jti, delivered);
  });

  it('waits for what is on its way when it stops, and takes nothing more', async () => {
    const world = setUp();
    world.queue.push(event('last'));
    world.delivery.start();
    await vi.waitFor(
      () => {
        expect(world.answers.has('last')).toBe(true);
      },
      { timeout: 10_000 },
    );
    let isStopped = false;
    const stopping = world.delivery.stop().then(() => (isStopped = true));
    world.queue.push(event('too late'));
    world.change();
    for (let round = 0; round < 5; round += 1) await setImmediate(); // it could be done by now
    expect(isStopped).toBe(false);
    world.answer('last', delivered);
    await stopping;
    expect(world.settled).toEqual(['delivered consent of last']);
    expect(world.queue).toHaveLength(1);
  });

  it('puts off one event, or all of a receiver’s, and records what is lost', async () => {
    const world = setUp();
    world.queue.push(event('bad'), event('down'), event('wrong'));
    world.lost.push({ ...event('old'), delivery: 'poll' });
    world.delivery.start();
    await vi.waitFor(
      () => {
        expect(world.answers.size).toBe(3);
      },
      { timeout: 10_000 },
    );
    world.answer('bad', { outcome: 'failed', concerns: 'event', reason: 'status 422' });
    world.answer('down', { outcome: 'failed', concerns: 'receiver', reason: 'unreachable' });
    world.answer('wrong', { outcome: 'rejected', reason: 'invalid_audience' });
    await vi.waitFor(
      () => {
        expect(world.settled.toSorted()).toEqual([
          // By its own attempts, and by the receiver's failures in a row.
          'postponed consent of bad {"reason":"status 422","delayMs":500}',
          'rejected consent of wrong "invalid_audience"',
          'released consent of down {"reason":"unreachable","delayMs":2000}',
        ]);
      },
      { timeout: 10_000 },
    );
    const recorded = world.audited.map(({ type, detail }) => [type, detail?.['reason']]);
    expect(recorded.toSorted()).toEqual([
      ['security_event.lost', 'invalid_audience'],
      ['security_event.lost', 'too old'],
    ]);
    const text = await world.metrics.text();
    const counted = 'countersign_security_event_deliveries_total';
    expect(text).toContain(`${counted}{delivery="push",outcome="failed"} 2`);
    expect(text).toContain(`${counted}{delivery="poll",outcome="expired"} 1`);
    expect(text).toContain('countersign_security_event_backlog{delivery="poll"} 7');
    expect(text).toContain('countersign_security_event_backlog{delivery="push"} 0');
    expect(text).toContain('countersign_security_event_oldest_seconds{delivery="poll"} 12');
  });

  it('ends each attempt before another process may take the event', async () => {
    const world = setUp();
    world.queue.push(event('slow'));
    world.delivery.start();
    await vi.waitFor(
      () => {
        expect(world.answers.has('slow')).toBe(true);
      },
      { timeout: 10_000 },
    );
    const { endsAt, attemptEndsAt } = world.lease;
    expect(attemptEndsAt).toBeGreaterThan(performance.now() + 1000); // the receiver's time
    expect(attemptEndsAt).toBeLessThanOrEqual(endsAt - 1000);
    world.answer('slow', delivered);
  });

  it('records nothing as lost that another process has settled', async () => {
    const world = setUp();
    world.queue.push(event('taken'));
    world.delivery.start();
    await vi.waitFor(
      () => {
        expect(world.answers.has('taken')).toBe(true);
      },
      { timeout: 10_000 },
    );
    world.answer('taken', { outcome: 'rejected', reason: 'invalid_audience' });
    await world.delivery.stop();
    expect(world.settled).toEqual(['rejected consent of taken "invalid_audience"']);
    expect(world.audited).toEqual([]);
  });

  it('outlives its database, and tells of it once', async () => {
    const world = setUp();
    world.setAway(true);
    world.delivery.start();
    const told = async (what: string) =>
      (await world.lines()).filter(({ message }) => message.includes(what));
    await vi.waitFor(
      async () => {
        expect(await told('can not be delivered')).toHaveLength(1);
      },
      { timeout: 10_000 },
    );
    world.change();
    world.setAway(false);
    world.queue.push(event('after'));
    await vi.waitFor(
      () => {
        expect(world.answers.has('after')).toBe(true);
      },
      { timeout: 5000 },
    );
    world.answer('after', delivered);
    expect(await told('can not be delivered')).toHaveLength(1);
    expect(await told('are delivered again')).toHaveLength(1);
  });
});
