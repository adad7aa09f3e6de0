import { randomBytes } from 'node:crypto';
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
  const advance = (random: Buffer): void => {
    const present = clock.now().getTime();
    if (present > milliseconds) {
      milliseconds = present;
      counter = random.readUInt16BE(6) & counterSeedMask;
      return;
    }
    counter += 1;
    if (counter < counterSize) return;
    milliseconds += 1;
    counter = 0;
  };
  return () => {
    const bytes = randomBytes(16);
    advance(bytes);
    bytes.writeUIntBE(milliseconds, 0, 6);
    bytes.writeUInt16BE(0x7000 | counter, 6);
    bytes.writeUInt8(0x80 | (bytes.readUInt8(8) & 0x3f), 8);
    const hex = bytes.toString('hex');
    return [
      hex.slice(0, 8),
      hex.slice(8, 12),
      hex.slice(12, 16),
      hex.slice(16, 20),
      hex.slice(20),
    ].join('-');
  };
}
