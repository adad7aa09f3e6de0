import { setTimeout as wait } from 'node:timers/promises';

const pauseMs = 20;

/**
 * Repeats a check until it holds. One that begins a second from now, or later, must: how long the check itself takes on
 * a busy machine is not what it is about.
 */
export async function withinASecond(check: () => Promise<void>): Promise<void> {
  const deadline = performance.now() + 1000;
  for (;;) {
    const begun = performance.now();
    try {
      await check();
      return;
    } catch (error) {
      if (begun >= deadline) throw error;
    }
    await wait(pauseMs);
  }
}
