import { describe, expect, it } from 'vitest';
import { createNotes } from '../../src/observability/request-notes.ts';

describe('notes', () => {
  it('belong to one subject and one keeper', () => {
    const [mine, others] = [createNotes<object, string>(), createNotes<object, string>()];
    const [request, another] = [{}, {}];
    mine.set(request, 'mine');
    others.set(request, 'theirs');
    expect([mine.of(request), others.of(request), mine.of(another)]).toEqual([
      'mine',
      'theirs',
      undefined,
    ]);
  });

  it('are replaced by later ones, and seen by nobody who lists or writes the subject', () => {
    const notes = createNotes<object, string>();
    const request = { path: '/token' };
    notes.set(request, 'first');
    notes.set(request, 'second');
    expect(notes.of(request)).toBe('second');
    expect([Object.keys(request), JSON.stringify(request)]).toEqual([
      ['path'],
      '{"path":"/token"}',
    ]);
  });
});
