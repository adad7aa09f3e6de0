import { Problem } from '../../problem.ts';

/** What one source, or all of them, say about a certificate. */
export type Verdict =
  | { readonly status: 'good' }
  | { readonly status: 'revoked'; readonly reason: string }
  | { readonly status: 'unknown'; readonly reason: string };

/** Clocks differ: what was made up to a minute from now counts as made, and holds a minute longer. */
const toleranceMs = 60_000;

/** The period that a list or an answer holds. */
export interface Period {
  readonly thisUpdate: Date;
  readonly nextUpdate: Date;
}

/** Why it can't be relied on now; undefined when it can. */
export function periodRefusal({ thisUpdate, nextUpdate }: Period, now: Date): string | undefined {
  if (isFuture(thisUpdate, now)) return `is from the future (${thisUpdate.toISOString()})`;
  if (nextUpdate.getTime() + toleranceMs < now.getTime()) {
    return `is out of date since ${nextUpdate.toISOString()}`;
  }
  return undefined;
}

/** Whether a moment lies ahead by more than clocks differ. */
export function isFuture(moment: Date, now: Date): boolean {
  return moment.getTime() - toleranceMs > now.getTime();
}

/** What went wrong, for the log, without the sentence that callers would read. */
export function causeText(error: unknown): string {
  if (error instanceof Problem) return error.detail ?? error.message;
  return error instanceof Error ? error.message : String(error);
}
