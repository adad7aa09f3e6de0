import { configDefaults, defineConfig } from 'vitest/config';

/** Where to write the run's result as JSON besides the terminal; `.ci/run` asks for it. */
const reportFile = process.env.TEST_REPORT;

/** They need programs of the system that only `npm run test:interop` installs. */
export const interopTests = 'test/interop/**/*.test.ts';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: [...configDefaults.exclude, interopTests],
    globalSetup: ['test/support/global-setup.ts'],
    // Each file has a process of its own: servers, signal handlers and native modules don't meet.
    pool: 'forks',
    // Measured on two cores: more workers only make Chromium and Postgres wait for each other.
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // A test that leans on another one's leftovers fails soon; the seed is printed for a repeat.
    sequence: { shuffle: { files: true, tests: true } },
    restoreMocks: true,
    unstubEnvs: true,
    unstubGlobals: true,
    reporters:
      reportFile === undefined ? ['default'] : ['default', ['json', { outputFile: reportFile }]],
    coverage: {
      provider: 'v8',
      include: ['src/**/*.ts'],
      exclude: ['src/database/generated/**'],
      reporter: ['text-summary', 'html'],
    },
  },
});
