/**
 * Prints `N passed, N failed` from vitest's JSON report and exits with 1 unless tests ran and all
 * of them passed. Plain JavaScript: `.ci/run` calls it with whatever Node the machine has.
 *
 *     node tools/test-summary.mjs report.json
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
  const { passed, failed } = summarise(process.argv[2] ?? '');
  process.stdout.write(`${passed} passed, ${failed} failed\n`);
  process.exitCode = passed > 0 && failed === 0 ? 0 : 1;
}
