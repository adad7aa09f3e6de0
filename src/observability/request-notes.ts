/** What one part keeps with a request, or another object that lasts as long as one. */
export interface Notes<Subject extends object, Note> {
  of(subject: Subject): Note | undefined;
  set(subject: Subject, note: Note): void;
}

/**
 * Keeps notes on the object itself, under a name that nobody else has. A WeakMap would do, but costs 0.5 µs a note and
 * the garbage collector more, which with several of them is a part of every request.
 */
export function createNotes<Subject extends object, Note>(): Notes<Subject, Note> {
  const name = Symbol('note');
  type Noted = Subject & Partial<Record<symbol, Note>>;
  return {
    of: (subject: Noted) => subject[name],
    set(subject: Noted, note) {
      (subject as Partial<Record<symbol, Note>>)[name] = note;
    },
  };
}
