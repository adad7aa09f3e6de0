import { z } from 'zod';
import { Problem } from '../problem.ts';
import { readJsonFile } from './json-file.ts';

const word = z.string().regex(/^[\x21\x23-\x5B\x5D-\x7E]{1,100}$/);

/** Letters that stand for themselves: encoded ones can only be where any segment fits. */
const pattern = /^(?:\/|(?:\/(?!\.+(?:\/|$))(?:\*|[\w.~!$&'()+,=:@-]+))+(?:\/\*\*)?|\/\*\*)$/;

const route = z.strictObject({
  path: z.string().max(500).regex(pattern, 'must be segments, * for any one, and ** at the end'),
  methods: z.array(z.string().regex(/^[A-Z]{1,20}$/)).min(1),
  resourceServer: z.url().regex(/^[\x21\x23-\x5B\x5D-\x7E]+$/),
  scopes: z.array(word),
  credentials: z
    .array(z.enum(['token', 'api-key']))
    .min(1)
    .default(['token']),
  unboundTokens: z.enum(['refuse', 'accept']).default('refuse'),
  acr: z.array(word).min(1).optional(),
  maxAgeSeconds: z.int().min(0).max(31_536_000).optional(),
});

const origin = z.string().refine((text) => {
  const url = URL.parse(text);
  return url?.protocol === 'https:' && url.origin === text;
}, 'must be an origin such as https://api.bank.example');

const policy = z.strictObject({
  proxy: z.enum(['nginx', 'traefik', 'envoy']),
  origins: z.array(origin).default([]),
  routes: z.array(route).min(1).max(5000),
});

/** Which requests pass the edge, as a file says it. */
export type EdgePolicyConfiguration = z.infer<typeof policy>;

/** Reads and checks the policy file. Problem('configuration_invalid') names every fault at once. */
export function readEdgePolicy(file: string): EdgePolicyConfiguration {
  const result = policy.safeParse(readJsonFile(file));
  if (result.success) return result.data;
  const faults = result.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
  throw new Problem('configuration_invalid', { detail: `${file}: ${faults.join('; ')}` });
}
