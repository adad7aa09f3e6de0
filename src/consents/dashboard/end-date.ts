import { dayOf } from '../../clock.ts';

/** The limits of the end that a customer may set. */
export interface EndLimits {
  now: Date;
  /** Undefined where there is none. */
  latest: Date | undefined;
}

export type EndFault = 'end_not_a_date' | 'end_not_possible';

/**
 * The end that a customer typed as a day, which counts as a whole; `present` where it is the day of the end that there is.
 * An empty field keeps open-ended access as it is.
 */
export function endTyped(
  typed: string,
  present: Date | undefined,
  { now, latest }: EndLimits,
): { end: Date | undefined } | { fault: EndFault } {
  const day = typed.trim();
  if (day === (present === undefined ? '' : dayOf(present))) return { end: present };
  const lastSecond = endOfDay(day);
  if (lastSecond === undefined) return { fault: 'end_not_a_date' };
  const isLastDay = latest !== undefined && day === dayOf(latest);
  const end = isLastDay && latest < lastSecond ? latest : lastSecond;
  const isPossible = end > now && (latest === undefined || end <= latest);
  return isPossible ? { end } : { fault: 'end_not_possible' };
}

/** Undefined for what is no day of the calendar. */
function endOfDay(day: string): Date | undefined {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(day)) return undefined;
  const end = new Date(`${day}T23:59:59Z`);
  return !Number.isNaN(end.getTime()) && dayOf(end) === day ? end : undefined;
}
