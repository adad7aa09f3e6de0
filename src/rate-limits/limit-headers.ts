import type { Judged } from './request-limits.ts';
import type { PolicyRule } from './policy.ts';

/** Rules don't change while the process runs. */
const policies = new WeakMap<PolicyRule, string>();

function policyItem(rule: PolicyRule): string {
  const known = policies.get(rule);
  if (known !== undefined) return known;
  const item = `"${rule.name}";q=${String(rule.limit)};w=${String(rule.windowSeconds)}`;
  policies.set(rule, item);
  return item;
}

function limitItem({ rule, verdict }: Judged): string {
  return `"${rule.name}";r=${String(verdict.remaining)};t=${String(verdict.resetSeconds)}`;
}

/**
 * RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers-10): `q` requests in `w` seconds, of which `r`
 * are left, and more in `t` seconds. Names are plain words, which the policy's schema sees to.
 */
export function limitHeaders(judged: readonly Judged[]): { policy: string; limit: string } {
  return {
    policy: judged.map(({ rule }) => policyItem(rule)).join(', '),
    limit: judged.map(limitItem).join(', '),
  };
}
