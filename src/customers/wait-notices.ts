import type { Clock } from '../clock.ts';
import { createReminder } from '../observability/reminder.ts';

/** Whether it is news that a subject has to wait; then it counts as told. */
export type IsNewWait = (subject: string, waitSeconds: number) => boolean;

/** Short waits follow each other. */
const leastQuietSeconds = 60;

/** Tells once of a wait, however many don't wait: quiet until the wait that was told is over, a minute at least. */
export function createWaitNotices(clock: Clock): IsNewWait {
  const isNews = createReminder(clock);
  return (subject, waitSeconds) => isNews(subject, Math.max(waitSeconds, leastQuietSeconds) * 1000);
}
