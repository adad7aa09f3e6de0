import { Writable } from 'node:stream';

/** Bytes that may wait in a destination that doesn't drain, before lines are dropped instead of kept in memory. */
const maxWaitingBytes = 8 * 1024 * 1024;

const guarded = new WeakSet<NodeJS.WritableStream>();

function ignoreFailure(): void {
  // EPIPE, ENOSPC: nobody reads the log any more, and there is no other place to say so.
}

function waitingBytes(destination: NodeJS.WritableStream): number {
  return destination instanceof Writable ? destination.writableLength : 0;
}

/**
 * A stream in front of `destination` that never fails and never fills the memory: errors of the destination are swallowed, and
 * lines are dropped, and counted in one line afterwards, while more than 8 MiB wait to be written.
 */
export function guardDestination(destination: NodeJS.WritableStream): Writable {
  if (!guarded.has(destination)) {
    guarded.add(destination);
    destination.on('error', ignoreFailure);
  }
  let dropped = 0;
  const writeLine = (line: string | Uint8Array): void => {
    if (waitingBytes(destination) > maxWaitingBytes) {
      dropped += 1;
      return;
    }
    if (dropped > 0) {
      destination.write(
        `${JSON.stringify({ level: 'warn', message: 'Log lines dropped', dropped })}\n`,
      );
      dropped = 0;
    }
    destination.write(line);
  };
  return new Writable({
    decodeStrings: false,
    write(line: string | Uint8Array, _encoding, done) {
      try {
        writeLine(line);
      } catch {
        ignoreFailure();
      }
      done();
    },
  });
}
