/**
 * Prints `N passed, N failed` over vitest's JSON reports and exits with 1 unless each of them has tests and all of
 * them passed. Plain JavaScript: `.ci/run` calls it with whatever Node the machine has.
 *
 *     node tools/test-summary.mjs report.json more.json
 */
import { readFileSync } from 'node:fs';

/**
 * A file that fails before its first test counts as one failure: nobody knows what it holds.
 * @param {string} file a report by vitest's `json` reporter; a missing or broken one counts nothing
 * @returns {{ passed: number, failed: number }}
 */
export function summarise(file) {
  try {
    const { numPassedTests, numFailedTests, testResults } = JSON.parse(readFileSync(file, 'utf8'));
    const broken = testResults.filter(
      ({ status, assertionResults }) =>
        status === 'failed' && !assertionResults.some((test) => test.status === 'failed'),
    );
    return { passed: numPassedTests, failed: numFailedTests + broken.length };
  } catch {
    return { passed: 0, failed: 0 };
  }
}

if (import.meta.url === new URL(process.argv[1] ?? '', 'file:').href) {
  const runs = process.argv.slice(2).map(summarise);
  const passed = runs.reduce((sum, run) => sum + run.passed, 0);
  const failed = runs.reduce((sum, run) => sum + run.failed, 0);
  process.stdout.write(`${passed} passed, ${failed} failed\n`);
  const isGood = runs.length > 0 && runs.every((run) => run.passed > 0 && run.failed === 0);
  process.exitCode = isGood ? 0 : 1;
}
