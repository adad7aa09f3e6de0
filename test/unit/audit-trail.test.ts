import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { auditEventTypes } from '../../src/audit/events.ts';
import { createUuidSequence } from '../../src/audit/uuid.ts';
import { currentRequest, runWithRequest } from '../../src/observability/request-context.ts';
import type { RequestContext } from '../../src/observability/request-context.ts';
import { away, clock, entry, setUp } from '../support/audit-trail.ts';

function useFakeTimers(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => {
    vi.useRealTimers();
  });
}

describe('a recorded entry', () => {
  it('is stamped with identifier, time and request, without secrets, when it happens', async () => {
    const { store, trail } = setUp();
    const context = { requestId: 'r-1', address: '192.0.2.7', reason: 'wrong subject' };
    runWithRequest({ ...context, listener: 'mtls', method: 'POST', path: '/token' }, () => {
      trail.record({ ...entry, outcome: 'refused', detail: { password: 'x', scope: 'accounts' } });
    });
    await trail.flush();
    expect(store.batches).toEqual([
      [
        {
          id: expect.stringMatching(/^[\da-f]{8}-[\da-f]{4}-7/) as string,
          at: clock.now(),
          type: 'token.issued',
          outcome: 'refused',
          actorType: 'client',
          actorId: 'tpp',
          clientId: 'tpp',
          customerId: null,
          address: '192.0.2.7',
          requestId: 'r-1',
          detail: { reason: 'wrong subject', password: '[redacted]', scope: 'accounts' },
        },
      ],
    ]);
  });

  it('is a log line as well, at once', async () => {
    const { trail, lines } = setUp();
    trail.record({ ...entry, detail: { access_token: 'abc' } });
    const [line] = await lines();
    expect(line).toMatchObject({
      message: 'Audit event',
      type: 'token.issued',
      clientId: 'tpp',
      detail: { access_token: '[redacted]' },
    });
  });

  it('is told by the line of its request where one will come, unless somebody waits for it', async () => {
    const { trail, lines } = setUp();
    const context = { requestId: 'r-1', address: '192.0.2.7', method: 'POST', path: '/token' };
    const request: RequestContext = { ...context, listener: 'mtls', events: [] };
    await runWithRequest(request, async () => {
      trail.record({ ...entry, detail: { access_token: 'abc', scope: 'accounts' } });
      expect(await lines()).toEqual([]);
      await trail.recordDurably({ ...entry, type: 'consent.given' });
      request.events = undefined;
      trail.record({ ...entry, type: 'token.revoked' });
    });
    expect((await lines()).map(({ type }) => type)).toEqual(['consent.given', 'token.revoked']);
    expect(request).toHaveProperty('events', undefined);
  });

  it('in the line of its request is without secrets', () => {
    const { trail } = setUp();
    const context = { requestId: 'r-1', address: '192.0.2.7', method: 'POST', path: '/token' };
    const request: RequestContext = { ...context, listener: 'mtls', events: [] };
    runWithRequest(request, () => {
      trail.record({ ...entry, detail: { access_token: 'abc', scope: 'accounts' } });
    });
    expect(request.events).toEqual([
      expect.objectContaining({
        type: 'token.issued',
        clientId: 'tpp',
        detail: { access_token: '[redacted]', scope: 'accounts' },
      }),
    ]);
  });

  it('holds nothing that PostgreSQL refuses, and no endless identifier', async () => {
    const { store, trail } = setUp();
    const bad = 'a\u0000b\ud800';
    trail.record({ ...entry, clientId: bad + 'x'.repeat(5000), detail: { [bad]: [bad] } });
    await trail.flush();
    const row = store.batches[0]?.[0];
    expect(row?.clientId).toHaveLength(512);
    expect(JSON.stringify(row)).not.toMatch(/\\u0000|\\ud800/);
    expect(row?.detail).toEqual({ 'a\ufffdb\ufffd': ['a\ufffdb\ufffd'] });
  });

  it('waits for company no longer than the interval', async () => {
    useFakeTimers();
    const { store, trail } = setUp();
    trail.record(entry);
    await vi.advanceTimersByTimeAsync(900);
    trail.record(entry);
    expect(store.batches).toHaveLength(0);
    await vi.advanceTimersByTimeAsync(100);
    expect(store.batches.map((batch) => batch.length)).toEqual([2]);
  });

  it('does not wait when a batch is full', async () => {
    useFakeTimers();
    const { store, trail } = setUp();
    for (let count = 0; count < 25; count += 1) trail.record(entry);
    await vi.advanceTimersByTimeAsync(0);
    expect(store.batches.map((batch) => batch.length)).toEqual([10, 10, 5]);
  });
});

describe('a durable entry', () => {
  it('resolves when its batch is committed, together with those that came meanwhile', async () => {
    const { store, trail } = setUp();
    const { promise: committed, resolve: commit } = Promise.withResolvers<undefined>();
    store.answer = () => committed;
    const order: string[] = [];
    const first = trail.recordDurably(entry).then(() => order.push('first'));
    await vi.waitFor(
      () => {
        expect(store.attempts).toEqual([1]);
      },
      { timeout: 10_000 },
    );
    const rest = [1, 2, 3].map(() => trail.recordDurably(entry).then(() => order.push('rest')));
    order.push('commit');
    commit(undefined);
    await Promise.all([first, ...rest]);
    expect(order).toEqual(['commit', 'first', 'rest', 'rest', 'rest']);
    expect(store.attempts).toEqual([1, 3]);
  });

  it('is refused after one attempt, and never written later', async () => {
    const { store, trail, valueOf } = setUp();
    store.answer = () => Promise.reject(away);
    trail.record({ ...entry, clientId: 'patient' });
    await expect(trail.recordDurably(entry)).rejects.toMatchObject({
      code: 'database_unavailable',
      cause: away,
    });
    store.answer = () => Promise.resolve();
    await trail.flush();
    expect(store.batches.flat().map(({ clientId }) => clientId)).toEqual(['patient']);
    expect(await valueOf('countersign_audit_dropped_total')).toBe(1);
  });

  it('does not wait for the pause between attempts', async () => {
    useFakeTimers();
    const { store, trail } = setUp();
    store.answer = () => Promise.reject(away);
    trail.record(entry);
    await trail.flush();
    store.answer = () => Promise.resolve();
    const written = trail.recordDurably(entry);
    await vi.advanceTimersByTimeAsync(0);
    await written;
    expect(store.batches.flat()).toHaveLength(2);
  });
});

describe('while the database is away', () => {
  it('entries are kept, tried again with growing pauses, and committed once it is back', async () => {
    useFakeTimers();
    const { store, trail, valueOf } = setUp();
    store.answer = () => Promise.reject(away);
    for (let count = 0; count < 15; count += 1) trail.record(entry);
    await vi.advanceTimersByTimeAsync(0);
    const attemptsBy: number[] = [];
    for (const milliseconds of [499, 1, 999, 1, 1999, 1]) {
      await vi.advanceTimersByTimeAsync(milliseconds);
      attemptsBy.push(store.attempts.length);
    }
    expect(attemptsBy).toEqual([1, 2, 2, 3, 3, 4]);
    expect(await valueOf('countersign_audit_queue')).toBe(15);
    store.answer = () => Promise.resolve();
    await vi.advanceTimersByTimeAsync(4000);
    expect(store.batches.map((batch) => batch.length)).toEqual([10, 5]);
    expect(await valueOf('countersign_audit_queue')).toBe(0);
    expect(await valueOf('countersign_audit_dropped_total')).toBe(0);
  });

  it('what does not fit is counted, and still in the log', async () => {
    const { store, trail, lines, valueOf } = setUp({ maxQueue: 3 });
    store.answer = () => Promise.reject(away);
    for (let count = 0; count < 5; count += 1) trail.record(entry);
    await expect(trail.recordDurably(entry)).rejects.toMatchObject({
      code: 'database_unavailable',
    });
    expect(await valueOf('countersign_audit_dropped_total')).toBe(3);
    expect(await valueOf('countersign_audit_queue')).toBe(3);
    const messages = (await lines()).map(({ message }) => message);
    expect(messages.filter((message) => message === 'Audit event')).toHaveLength(6);
    await trail.close();
  });

  it('a failed durable entry does not make the others be tried without pause', async () => {
    useFakeTimers();
    const { store, trail } = setUp();
    store.answer = () => Promise.reject(away);
    trail.record(entry);
    const [refused] = await Promise.all([
      Promise.allSettled([trail.recordDurably(entry)]),
      vi.advanceTimersByTimeAsync(400),
    ]);
    expect(refused).toMatchObject([{ status: 'rejected' }]);
    expect(store.attempts).toHaveLength(1);
  });
});

describe('a row that the database refuses for what it is', () => {
  it('is dropped alone', async () => {
    const { store, trail, lines, valueOf } = setUp();
    store.answer = () => {
      const refused = Object.assign(new Error('bad'), { meta: { cause: { code: '22P05' } } });
      const lastTried = store.attempts.at(-1);
      return lastTried === 3 || store.attempts.length === 3
        ? Promise.reject(refused)
        : Promise.resolve();
    };
    for (const clientId of ['a', 'b', 'c']) trail.record({ ...entry, clientId });
    await trail.flush();
    expect(store.attempts).toEqual([3, 1, 1, 1]);
    expect(store.batches.flat().map(({ clientId }) => clientId)).toEqual(['a', 'c']);
    expect(await valueOf('countersign_audit_dropped_total')).toBe(1);
    expect((await lines()).at(-1)).toMatchObject({
      level: 'error',
      message: 'Audit event not stored',
    });
  });
});

describe('closing', () => {
  it('commits what came right after the last commit', async () => {
    const { store, trail } = setUp();
    await trail.recordDurably(entry);
    trail.record(entry);
    await trail.close();
    expect(store.batches.flat()).toHaveLength(2);
  });

  it('commits what waits', async () => {
    const { store, trail } = setUp();
    trail.record(entry);
    await trail.close();
    expect(store.batches.flat()).toHaveLength(1);
  });

  it('counts what can not be committed, and what comes later', async () => {
    const { store, trail, valueOf } = setUp();
    store.answer = () => Promise.reject(away);
    trail.record(entry);
    await trail.close();
    trail.record(entry);
    await expect(trail.recordDurably(entry)).rejects.toMatchObject({
      code: 'database_unavailable',
    });
    expect(store.attempts).toEqual([1]);
    expect(await valueOf('countersign_audit_dropped_total')).toBe(3);
  });
});

describe('the commit', () => {
  it('is not logged under the request that happened to start it', async () => {
    const { store, trail } = setUp({ flushIntervalMs: 1 });
    const seen: unknown[] = [];
    store.answer = () => {
      seen.push(currentRequest());
      return Promise.resolve();
    };
    const context = { requestId: 'r', address: 'a', method: 'GET', path: '/' };
    runWithRequest({ ...context, listener: 'public' }, () => {
      trail.record(entry);
    });
    await vi.waitFor(
      () => {
        expect(seen).toEqual([undefined]);
      },
      { timeout: 10_000 },
    );
  });
});

describe('identifiers of rows', () => {
  it('are UUIDs of version 7, in order also when the clock stands or steps back', () => {
    const start = clock.now().getTime();
    let offset = 0;
    const next = createUuidSequence({ now: () => new Date(start + offset) });
    const made: string[] = [];
    for (let count = 0; count < 10_000; count += 1) {
      if (count === 5000) offset = -60_000;
      if (count === 9000) offset = 1000;
      made.push(next());
    }
    expect(made.toSorted()).toEqual(made);
    expect(new Set(made).size).toBe(made.length);
    expect(
      made.every((id) =>
        /^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/.test(id),
      ),
    ).toBe(true);
    const time = parseInt((made[0] ?? '').replace('-', '').slice(0, 12), 16);
    expect(time).toBe(start);
  });
});

describe('the catalogue', () => {
  it('has a dotted name and a sentence for each type', () => {
    for (const [type, sentence] of Object.entries(auditEventTypes)) {
      expect(type).toMatch(/^[a-z_]+\.[a-z_]+$/);
      expect(sentence).toMatch(/^[A-Z].*\.$/);
    }
  });
});
