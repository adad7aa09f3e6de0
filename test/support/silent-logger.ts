import type { Logger } from '../../src/observability/logger.ts';

const nothing = () => undefined;

/** For parts whose log is not what a test is about. */
export const silentLogger: Logger = {
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
  child: () => silentLogger,
};
