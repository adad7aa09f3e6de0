/**
 * Runs the steps one after the other, each although earlier ones may have failed. Rejects afterwards: with the error of
 * the step that failed, or an AggregateError when several did.
 */
export async function runAll(steps: readonly (() => Promise<unknown>)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const step of steps) {
    try {
      await step();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 1) {
    const reasons = failures.map((error) =>
      error instanceof Error ? error.message : String(error),
    );
    throw new AggregateError(failures, reasons.join('; '));
  }
  if (failures.length === 1) throw failures[0];
}
