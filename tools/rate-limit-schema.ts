import { z } from 'zod';
import { rateLimitPolicyFile } from '../src/config/rate-limit-policy.ts';

/** The JSON Schema of the file of COUNTERSIGN_RATE_LIMIT_POLICY: what an editor reads. */
export function rateLimitSchema(): Record<string, unknown> {
  const schema = z.toJSONSchema(rateLimitPolicyFile, { io: 'input', unrepresentable: 'any' });
  return { title: 'Countersign rate limits', ...schema };
}
