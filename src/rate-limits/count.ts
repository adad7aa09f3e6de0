import type { Meter } from './rule.ts';

/**
 * What was counted. Windows: `at` is the number of the newest slice since 1970 and `units` the requests in each, the
 * newest first. Bucket: `at` is in milliseconds and `units` its level. The stores keep the same, so that a store's
 * answer is gone on with as it is.
 */
export interface Count {
  at: number;
  units: number[];
}

/** Nothing counted yet. */
export function emptyCount({ slices, sliceMs }: Meter, nowMs: number): Count {
  return { at: Math.floor(nowMs / sliceMs), units: new Array<number>(slices).fill(0) };
}

/** Lets time pass. A clock that is behind changes nothing: windows never come back. */
export function moveOn({ slices, sliceMs, drain }: Meter, count: Count, nowMs: number): void {
  const at = Math.floor(nowMs / sliceMs);
  const passed = at - count.at;
  if (passed <= 0) return;
  count.at = at;
  const { units } = count;
  if (drain > 0) {
    units[0] = Math.max(0, (units[0] ?? 0) - passed * drain);
    return;
  }
  units.unshift(...new Array<number>(Math.min(passed, slices)).fill(0));
  units.length = slices;
}

/** How much is held of the ceiling. */
export function held({ units }: Count): number {
  let sum = 0;
  for (const unit of units) sum += unit;
  return sum;
}

/** Whole requests that fit. Rounded up by a billionth, because a bucket's level is made of fractions. */
export function remaining({ ceiling }: Meter, count: Count): number {
  return Math.max(0, Math.floor(ceiling - held(count) + 1e-9));
}

/** Counts `requests`, or takes them back when there are fewer than none. */
export function add(count: Count, requests: number): void {
  count.units[0] = Math.max(0, (count.units[0] ?? 0) + requests);
}

/** Milliseconds until one more fits than does now; 0 where nothing is held. */
export function msUntilMore(meter: Meter, count: Count, nowMs: number): number {
  const { ceiling, sliceMs, slices, drain } = meter;
  const all = held(count);
  if (all === 0) return 0;
  const wanted = Math.max(0, ceiling - remaining(meter, count) - 1);
  if (drain > 0) return (all - wanted) / drain;
  let left = all;
  for (let slice = count.units.length - 1; slice >= 0; slice -= 1) {
    left -= count.units[slice] ?? 0;
    const falls = (count.at + slices - slice) * sliceMs;
    if (left < all && left <= wanted) return Math.max(1, falls - nowMs);
  }
  return Math.max(1, (count.at + slices) * sliceMs - nowMs);
}
