import { randomInt } from 'node:crypto';

/** Numbers that look random and come again with the same seed. */
export interface Random {
  seed: number;
  /** From 0 up to, but not including, 1. */
  next(): number;
  /** From 0 to `limit` inclusive, whole. */
  upTo(limit: number): number;
  pick<T>(items: readonly [T, ...T[]]): T;
}

/** Random numbers whose seed is printed; `TEST_SEED` in the environment repeats a run. */
export function printedSeed(name: string): Random {
  const given = Number(process.env['TEST_SEED'] ?? '');
  const seed = given > 0 ? given : randomInt(1, 2 ** 32);
  console.log(`${name}: TEST_SEED=${String(seed)}`);
  return seededRandom(seed);
}

/** Mulberry32: 32 bits of state are plenty for delays and choices. */
function seededRandom(seed: number): Random {
  let state = seed;
  function next(): number {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }
  return {
    seed,
    next,
    upTo: (limit) => Math.floor(next() * (limit + 1)),
    pick: (items) => items[Math.floor(next() * items.length)] ?? items[0],
  };
}
