import { describe, expect, it } from 'vitest';
import { away, entry, setUp } from '../support/audit-trail.ts';

describe('a database that goes away while a refused row is looked for', () => {
  it('neither brings committed rows back nor counts any row twice', async () => {
    const { store, trail, valueOf } = setUp();
    const refused = Object.assign(new Error('bad'), { meta: { cause: { code: '22P05' } } });
    const answers = [refused, undefined, refused, away]; // all four, then a, b, c
    store.answer = () => {
      const failure = answers[store.attempts.length - 1];
      return failure === undefined ? Promise.resolve() : Promise.reject(failure);
    };
    for (const clientId of ['b', 'c']) trail.record({ ...entry, clientId });
    const stored = trail.recordDurably({ ...entry, clientId: 'a' });
    for (const clientId of ['d']) trail.record({ ...entry, clientId });
    await trail.flush();
    await Promise.allSettled([stored]);
    expect(store.attempts).toEqual([4, 1, 1, 1]);
    expect(await valueOf('countersign_audit_queue')).toBe(1);
    await trail.close();
    expect(store.attempts).toEqual([4, 1, 1, 1, 1]);
    expect(store.batches.flat().map(({ clientId }) => clientId)).toEqual(['b', 'd']);
    expect(await valueOf('countersign_audit_dropped_total')).toBe(2);
  });

  it('leaves an awaited row that was committed before alone', async () => {
    const { store, trail, valueOf } = setUp();
    const refused = Object.assign(new Error('bad'), { meta: { cause: { code: '22P05' } } });
    const answers = [refused, undefined, away];
    store.answer = () => {
      const failure = answers[store.attempts.length - 1];
      return failure === undefined ? Promise.resolve() : Promise.reject(failure);
    };
    const stored = trail.recordDurably({ ...entry, clientId: 'awaited' });
    trail.record({ ...entry, clientId: 'patient' });
    await stored;
    await trail.close();
    expect(store.batches.flat().map(({ clientId }) => clientId)).toEqual(['awaited', 'patient']);
    expect(await valueOf('countersign_audit_dropped_total')).toBe(0);
  });
});

describe('closing', () => {
  it('tries once more with what came during a commit that fails', async () => {
    const { store, trail, valueOf } = setUp();
    const { promise: answer, reject: fail } = Promise.withResolvers<undefined>();
    store.answer = () => (store.attempts.length === 1 ? answer : Promise.resolve());
    trail.record({ ...entry, clientId: 'early' });
    const flushed = trail.flush();
    trail.record({ ...entry, clientId: 'late' });
    const closed = trail.close();
    fail(away);
    await Promise.all([flushed, closed]);
    expect(store.batches.flat().map(({ clientId }) => clientId)).toEqual(['early', 'late']);
    expect(await valueOf('countersign_audit_dropped_total')).toBe(0);
  });
});
