import { configDefaults, defineConfig } from 'vitest/config';
import usual, { interopTests } from './vitest.config.ts';

/** Other people's programs against the assembled server; `npm run test:interop` installs them first. */
export default defineConfig({
  test: {
    ...usual.test,
    include: [interopTests],
    exclude: configDefaults.exclude,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
