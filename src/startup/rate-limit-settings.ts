import type { AppSettings } from '../assembly/settings.ts';
import { readRateLimitPolicy } from '../config/rate-limit-policy.ts';
import type { Configuration } from '../config/schema.ts';
import { defaultPolicy } from '../rate-limits/policy.ts';
import { Refusal } from './material.ts';

/** The rate limits in the app's words. Problem('configuration_invalid') for a policy file that is not one. */
export function rateLimitSettings(configuration: Configuration): AppSettings['rateLimits'] {
  const { rateLimitPolicyFile: file, rateLimitStore, environment } = configuration;
  const kind = rateLimitStore ?? (environment === 'production' ? 'postgres' : 'memory');
  return {
    policy: file === undefined ? defaultPolicy : readRateLimitPolicy(file),
    store: kind === 'redis' ? { kind, url: redisUrl(configuration) } : { kind },
  };
}

/** `redis` or, for TLS, `rediss`. */
function redisUrl({ rateLimitRedisUrl: url }: Configuration): string {
  const protocol = URL.parse(url ?? '')?.protocol;
  if (url !== undefined && /^rediss?:$/.test(protocol ?? '')) return url;
  throw new Refusal([
    'COUNTERSIGN_RATE_LIMIT_REDIS_URL is not set or no URL: COUNTERSIGN_RATE_LIMIT_STORE is redis, so say rediss://user:password@host:port',
  ]);
}
