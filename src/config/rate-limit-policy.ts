import { z } from 'zod';
import { readJsonFile } from './json-file.ts';

const groups = [
  'authorization',
  'pushed-authorization',
  'token',
  'introspection',
  'revocation',
  'userinfo',
  'metadata',
  'registration',
  'consents',
  'grants',
  'api-keys',
  'events',
  'login',
  'pages',
  'edge',
] as const;

const rule = z
  .strictObject({
    name: z
      .string()
      .regex(/^[a-z][a-z\d-]{0,31}$/, 'must be a word of small letters, digits and hyphens')
      .describe('Goes out in the RateLimit headers.'),
    groups: z.array(z.enum(groups)).min(1).describe('The endpoints that are counted together.'),
    per: z
      .enum(['address', 'client', 'customer', 'api-key', 'everyone'])
      .describe('Who is counted, each for itself; of IPv6 the whole /64 is one address.'),
    counts: z
      .enum(['requests', 'failures'])
      .default('requests')
      .describe(
        'Every request, or only those that end refused and of which nobody proved who they are.',
      ),
    algorithm: z.enum(['fixed-window', 'sliding-window', 'token-bucket']),
    limit: z.int().min(1).max(10_000_000).describe('Requests in a window.'),
    windowSeconds: z.int().min(1).max(86_400),
    burst: z
      .int()
      .min(1)
      .max(10_000_000)
      .optional()
      .describe('Of a token bucket: how many at once; the limit when not given.'),
    slack: z
      .int()
      .min(0)
      .max(1_000_000)
      .optional()
      .describe(
        'How many each process may admit before a shared store was told; 5 % of the limit when not given, 0 asks the store for every request.',
      ),
    whenStoreIsDown: z
      .enum(['local', 'closed'])
      .default('local')
      .describe(
        'Each process counts alone, or everything is refused; the latter asks the store for every request.',
      ),
  })
  .refine(({ burst, algorithm }) => burst === undefined || algorithm === 'token-bucket', {
    path: ['burst'],
    error: 'is for a token-bucket only',
  })
  .refine(({ slack, limit }) => slack === undefined || slack <= limit, {
    path: ['slack'],
    error: 'must not be above the limit',
  });

/** The file of COUNTERSIGN_RATE_LIMIT_POLICY: every limit of the server; an empty list is no limits at all. */
export const rateLimitPolicyFile = z
  .strictObject({
    $schema: z.string().optional(),
    rules: z
      .array(rule)
      .max(100)
      .refine((rules) => new Set(rules.map(({ name }) => name)).size === rules.length, {
        error: 'two rules have the same name',
      }),
  })
  .describe('The rate limits of a Countersign server.');

/** Every limit of a server. */
export type RateLimitPolicyFile = z.infer<typeof rateLimitPolicyFile>;

/** Reads and checks the file; else every fault, a sentence each. Problem('configuration_invalid') for no JSON file. */
export function readRateLimitPolicy(
  file: string,
): { policy: RateLimitPolicyFile } | { faults: string[] } {
  const result = rateLimitPolicyFile.safeParse(readJsonFile(file));
  if (result.success) return { policy: result.data };
  return {
    faults: result.error.issues.map(({ path, message }) =>
      path.length === 0 ? message : `${path.join('.')}: ${message}`,
    ),
  };
}
