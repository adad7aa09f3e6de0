import { Problem } from '../../problem.ts';

/** What is said of a file whose bytes make no sense. */
export const damaged = 'is a damaged MaxMind database';

/** Values that refer to each other (MaxMind DB File Format Specification 2.0, "Output Data Section"). */
export interface DataSection {
  bytes: Buffer;
  /** Where pointers count from, in bytes of the file. */
  start: number;
}

/** GeoLite2 City has some 150 values and 3 KiB of text for a network, in five levels: well above what anybody sells. */
const limits = { values: 4096, bytes: 65_536, depth: 32 };

const types = { extended: 0, pointer: 1, map: 7, array: 11, boolean: 14 };

/**
 * Throws Problem('configuration_invalid') when reading the value at `offset` would take more than an honest one: a
 * few hundred bytes of pointers to pointers are enough to say 2^40 values, and a reader follows them all.
 */
export function rejectHeavyValue(section: DataSection, offset: number): void {
  const left = { values: limits.values, bytes: limits.bytes };
  const behind = (at: number, depth: number): number => {
    const { type, size, next } = headOf(section, at);
    left.values -= 1;
    if (left.values < 0 || depth > limits.depth) throw heavy();
    if (type === types.pointer) {
      behind(size, depth + 1);
      return next;
    }
    if (type === types.boolean) return next;
    if (type !== types.map && type !== types.array) {
      left.bytes -= size;
      if (left.bytes < 0) throw heavy();
      return next + size;
    }
    const members = type === types.map ? size * 2 : size;
    let end = next;
    for (let member = 0; member < members; member += 1) end = behind(end, depth + 1);
    return end;
  };
  behind(offset, 0);
}

interface Head {
  type: number;
  /** Of what follows, in bytes or members; nothing follows a boolean. Of a pointer it is where that points to. */
  size: number;
  /** Where what follows begins. */
  next: number;
}

function headOf({ bytes, start }: DataSection, offset: number): Head {
  const control = byteAt(bytes, offset);
  const type = control >> 5;
  if (type === types.pointer) return pointerOf({ bytes, start }, offset + 1, control);
  const isExtended = type === types.extended;
  const sizeAt = offset + (isExtended ? 2 : 1);
  const more = Math.max((control & 31) - 28, 0);
  return {
    type: isExtended ? byteAt(bytes, offset + 1) + 7 : type,
    size: more === 0 ? control & 31 : (sizesFrom[more] ?? 0) + numberAt(bytes, sizeAt, more),
    next: sizeAt + more,
  };
}

/** Added to the number in so many further bytes. */
const sizesFrom = [0, 29, 285, 65_821];
const pointersFrom = [0, 0, 2048, 526_336, 0];

function pointerOf({ bytes, start }: DataSection, at: number, control: number): Head {
  const further = ((control >> 3) & 3) + 1;
  const high = further === 4 ? 0 : (control & 7) * 256 ** further;
  const value = high + numberAt(bytes, at, further) + (pointersFrom[further] ?? 0);
  return { type: types.pointer, size: start + value, next: at + further };
}

function numberAt(bytes: Buffer, at: number, length: number): number {
  byteAt(bytes, at + length - 1);
  return bytes.readUIntBE(at, length);
}

function byteAt(bytes: Buffer, at: number): number {
  const byte = bytes[at];
  if (byte === undefined) throw unfit(damaged);
  return byte;
}

function heavy(): Problem {
  return unfit(`${damaged}: to read it takes too long`);
}

/** The refusal of a file, with its reason. */
export function unfit(detail: string, cause?: unknown): Problem {
  return new Problem('configuration_invalid', { detail, cause });
}
