import { Writable } from 'node:stream';

/** Bytes that may wait in a destination that doesn't drain, before lines are dropped instead of kept in memory. */
const maxWaitingBytes = 8 * 1024 * 1024;

/** A place for lines that never fails and never fills the memory. */
export interface LineWriter {
  /** Takes a line with its end. */
  write(line: string): void;
}

const guarded = new WeakSet<NodeJS.WritableStream>();

function ignoreFailure(): void {
  // EPIPE, ENOSPC: nobody reads the log any more, and there is no other place to say so.
}

function waitingBytes(destination: NodeJS.WritableStream): number {
  return destination instanceof Writable ? destination.writableLength : 0;
}

/** What writes lines that wait; at the exit nothing is left. */
const unwritten = new Set<() => void>();

process.on('exit', () => {
  for (const flush of unwritten) flush();
});

/**
 * Writes to `destination`: its errors are swallowed, and lines are dropped, and counted in one line afterwards, while
 * more than 8 MiB wait to be written. Lines of one turn of the event loop, or of `gatherMs` milliseconds, are written
 * together, which for a file or pipe is one system call.
 */
export function guardDestination(destination: NodeJS.WritableStream, gatherMs: number): LineWriter {
  if (!guarded.has(destination)) {
    guarded.add(destination);
    destination.on('error', ignoreFailure);
  }
  let lines: string[] = [];
  let waitingCharacters = 0;
  let dropped = 0;

  function flush(): void {
    unwritten.delete(flush);
    const text = lines.join('');
    lines = [];
    waitingCharacters = 0;
    try {
      destination.write(text);
    } catch {
      ignoreFailure();
    }
  }

  function add(line: string): void {
    if (lines.length === 0) {
      unwritten.add(flush);
      if (gatherMs === 0) setImmediate(flush);
      else setTimeout(flush, gatherMs).unref();
    }
    lines.push(line);
    waitingCharacters += line.length;
  }

  return {
    write(line) {
      if (waitingBytes(destination) + waitingCharacters > maxWaitingBytes) {
        dropped += 1;
        return;
      }
      if (dropped > 0) {
        add(`${JSON.stringify({ level: 'warn', message: 'Log lines dropped', dropped })}\n`);
        dropped = 0;
      }
      add(line);
    },
  };
}
