import { oneOf, optionalText, setting } from './setting.ts';

/** How many requests are too many. */
export const rateLimitSettings = {
  rateLimitPolicyFile: setting({
    variable: 'COUNTERSIGN_RATE_LIMIT_POLICY',
    type: optionalText,
    sentence:
      'Path of a JSON file with the rate limits (docs/rate-limits.md); without it the built-in ones hold.',
  }),
  rateLimitStore: setting({
    variable: 'COUNTERSIGN_RATE_LIMIT_STORE',
    type: oneOf(['memory', 'postgres', 'redis']).optional(),
    sentence:
      'Where requests are counted: `memory` for one process, `postgres` or `redis` (Valkey too) for several together; `memory` in development and `postgres` in production when not set.',
  }),
  rateLimitRedisUrl: setting({
    variable: 'COUNTERSIGN_RATE_LIMIT_REDIS_URL',
    type: optionalText,
    secret: true,
    sentence: 'The Redis or Valkey of `redis`: `rediss://user:password@host:port`.',
  }),
} as const;
