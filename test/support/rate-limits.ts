import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { PolicyRule } from '../../src/rate-limits/policy.ts';
import { temporaryDirectory } from './temporary-directory.ts';

/** A policy file with these rules, as COUNTERSIGN_RATE_LIMIT_POLICY names it. */
export async function policyFile(rules: readonly Partial<PolicyRule>[]) {
  const directory = await temporaryDirectory();
  const file = path.join(directory.path, 'rate-limits.json');
  await writeFile(file, JSON.stringify({ rules }));
  return { file, remove: () => directory.remove() };
}

/** The items of a RateLimit or RateLimit-Policy header: name → parameter → number. */
export function limitItems(header: string | null): Record<string, Record<string, number>> {
  const items = (header ?? '').split(', ').filter((item) => item !== '');
  return Object.fromEntries(
    items.map((item) => {
      const [name = '', ...parameters] = item.split(';');
      const pairs = parameters.map((parameter) => parameter.split('='));
      return [
        name.replaceAll('"', ''),
        Object.fromEntries(pairs.map(([key = '', value]) => [key, Number(value)])),
      ];
    }),
  );
}
