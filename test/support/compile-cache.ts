import { fileURLToPath } from 'node:url';

/** What Node compiles for the processes that tests start, each of which would else do it anew: half of a command's time. */
export const compileCache = fileURLToPath(
  new URL('../../node_modules/.cache/countersign-tests', import.meta.url),
);
