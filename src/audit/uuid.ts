import { randomUUID } from 'node:crypto';
import type { Clock } from '../clock.ts';

/** Values of the 12-bit counter that orders the identifiers of one millisecond. */
const counterSize = 0x1000;
/** A fresh millisecond starts in the lower half, so that the counter has room (RFC 9562 §6.2, method 1). */
const counterSeedMask = 0x7ff;

/**
 * A maker of UUIDs of version 7 (RFC 9562 §5.7): ordered by the clock's time, and within a millisecond, or while the clock
 * stands or steps back, by a counter.
 */
export function createUuidSequence(clock: Clock): () => string {
  let milliseconds = -1;
  let counter = 0;
  let prefix = '';
  const advance = (random: string): void => {
    const present = clock.now().getTime();
    if (present > milliseconds) {
      milliseconds = present;
      prefix = timePrefix(milliseconds);
      counter = Number.parseInt(random.slice(0, 3), 16) & counterSeedMask;
      return;
    }
    counter += 1;
    if (counter < counterSize) return;
    milliseconds += 1;
    prefix = timePrefix(milliseconds);
    counter = 0;
  };
  return () => {
    // Version 4 has the same variant and its last 62 bits random; Node makes 128 of them at a time.
    const random = randomUUID();
    advance(random);
    const order = (0x7000 | counter).toString(16);
    return `${prefix}-${order}-${random.slice(19)}`;
  };
}

/** The first 48 bits. */
function timePrefix(milliseconds: number): string {
  const time = milliseconds.toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}`;
}
