/** The time as an argument: a test hands in a clock that it moves itself. */
export interface Clock {
  /** The present moment. */
  now(): Date;
}

/** The machine's own clock. */
export const systemClock: Clock = { now: () => new Date() };

/** Seconds since 1970-01-01 UTC, as JWTs count them (RFC 7519 NumericDate). */
export function epochSeconds(clock: Clock): number {
  return Math.floor(clock.now().getTime() / 1000);
}

/** The moment `seconds` after now. */
export function secondsFromNow(clock: Clock, seconds: number): Date {
  return new Date(clock.now().getTime() + seconds * 1000);
}

/** The day of a moment, YYYY-MM-DD in UTC. */
export function dayOf(moment: Date): string {
  return moment.toISOString().slice(0, 10);
}

/** Seconds that another party's clock may be ahead: FAPI 2.0 §5.3.2.1-13 has us accept 10 and refuse 60. */
export const clockLeadSeconds = 15;
