import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const tool = path.resolve(import.meta.dirname, '../../tools/test-summary.mjs');
const passed = { status: 'passed', assertionResults: [{ status: 'passed' }] };
const failed = { status: 'failed', assertionResults: [{ status: 'failed' }] };
const unloadable = { status: 'failed', assertionResults: [] };

describe('the summary of a test run', () => {
  let folder: string;

  beforeAll(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'summary-'));
  });

  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  /** What the tool prints and how it ends for a report with this text. */
  function summarise(report: string): { line: string; status: number | null } {
    const file = path.join(folder, 'report.json');
    writeFileSync(file, report);
    const { stdout, status } = spawnSync(process.execPath, [tool, file], { encoding: 'utf8' });
    return { line: stdout, status };
  }

  const report = (numPassedTests: number, numFailedTests: number, testResults: object[]) =>
    summarise(JSON.stringify({ numPassedTests, numFailedTests, testResults }));

  it('is good when tests ran and all passed', () => {
    expect(report(3, 0, [passed])).toEqual({ line: '3 passed, 0 failed\n', status: 0 });
  });

  it('is bad when one failed', () => {
    expect(report(2, 1, [passed, failed])).toEqual({ line: '2 passed, 1 failed\n', status: 1 });
  });

  it('counts a file that could not be loaded as a failure', () => {
    expect(report(2, 0, [passed, unloadable])).toEqual({ line: '2 passed, 1 failed\n', status: 1 });
  });

  it('is bad when no test ran', () => {
    expect(report(0, 0, [])).toEqual({ line: '0 passed, 0 failed\n', status: 1 });
  });

  it('adds several runs up, and is bad when one of them has no tests', () => {
    const files = [3, 4, 0].map((numPassedTests, index) => {
      const file = path.join(folder, `report-${String(index)}.json`);
      const testResults = [passed];
      writeFileSync(file, JSON.stringify({ numPassedTests, numFailedTests: 0, testResults }));
      return file;
    });
    const run = (names: string[]) => {
      const { stdout, status } = spawnSync(process.execPath, [tool, ...names], {
        encoding: 'utf8',
      });
      return { line: stdout, status };
    };
    expect(run(files.slice(0, 2))).toEqual({ line: '7 passed, 0 failed\n', status: 0 });
    expect(run(files)).toEqual({ line: '7 passed, 0 failed\n', status: 1 });
  });

  it('is bad when there is no report, or a broken one', () => {
    expect(summarise('{"numPassedTests": 3')).toEqual({ line: '0 passed, 0 failed\n', status: 1 });
    const { stdout, status } = spawnSync(process.execPath, [tool], { encoding: 'utf8' });
    expect({ stdout, status }).toEqual({ stdout: '0 passed, 0 failed\n', status: 1 });
  });
});
