/**
 * Whether `work` was done after so many milliseconds; it goes on where it was not. Rejects as the work does in that time,
 * and leaves what comes later to who began it.
 */
export async function isDoneWithin(work: Promise<unknown>, patienceMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(resolve, patienceMs, false).unref();
  });
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}
