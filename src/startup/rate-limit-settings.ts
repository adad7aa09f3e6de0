import type { AppSettings } from '../assembly/settings.ts';
import { readRateLimitPolicy } from '../config/rate-limit-policy.ts';
import type { RateLimitPolicyFile } from '../config/rate-limit-policy.ts';
import type { Configuration } from '../config/schema.ts';
import { Problem } from '../problem.ts';
import { defaultPolicy } from '../rate-limits/policy.ts';
import { Refusal } from './material.ts';

/** The rate limits in the app's words. Throws a {@link Refusal} with every fault of the policy file. */
export function rateLimitSettings(configuration: Configuration): AppSettings['rateLimits'] {
  const { rateLimitPolicyFile: file, rateLimitStore, environment } = configuration;
  const kind = rateLimitStore ?? (environment === 'production' ? 'postgres' : 'memory');
  return {
    policy: file === undefined ? defaultPolicy : policyIn(file),
    store: kind === 'redis' ? { kind, url: redisUrl(configuration) } : { kind },
  };
}

function policyIn(file: string): RateLimitPolicyFile {
  const read = readFaulty(file);
  if ('policy' in read) return read.policy;
  throw new Refusal(read.faults.map((fault) => `COUNTERSIGN_RATE_LIMIT_POLICY ${fault}`));
}

function readFaulty(file: string): ReturnType<typeof readRateLimitPolicy> {
  try {
    const read = readRateLimitPolicy(file);
    return 'policy' in read ? read : { faults: read.faults.map((fault) => `${file}: ${fault}`) };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return { faults: [error.detail ?? error.message] };
  }
}

/** `redis` or, for TLS, `rediss`. */
function redisUrl({ rateLimitRedisUrl: url }: Configuration): string {
  const protocol = URL.parse(url ?? '')?.protocol;
  if (url !== undefined && /^rediss?:$/.test(protocol ?? '')) return url;
  throw new Refusal([
    'COUNTERSIGN_RATE_LIMIT_REDIS_URL is not set or no URL: COUNTERSIGN_RATE_LIMIT_STORE is redis, so say rediss://user:password@host:port',
  ]);
}
