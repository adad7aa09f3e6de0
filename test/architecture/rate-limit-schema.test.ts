import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { readRateLimitPolicy } from '../../src/config/rate-limit-policy.ts';
import { defaultPolicy } from '../../src/rate-limits/policy.ts';
import { rateLimitSchema } from '../../tools/rate-limit-schema.ts';
import { textOf } from './repository-files.ts';

const shipped = path.resolve(import.meta.dirname, '../../docs/rate-limits.default.json');

describe('The published schema of rate limits', () => {
  it('is what the server reads by (node tools/update-rate-limit-schema.ts)', async () => {
    const published: unknown = JSON.parse(await textOf('docs/rate-limits.schema.json'));
    expect(published).toEqual(rateLimitSchema());
  });

  it('allows nothing that it does not name', () => {
    expect(rateLimitSchema()).toMatchObject({ required: ['rules'], additionalProperties: false });
  });
});

it('The built-in policy, as it is published to begin with, is what the server has', () => {
  const read = readRateLimitPolicy(shipped);
  if ('faults' in read) throw new Error(read.faults.join('; '));
  const { $schema, rules } = read.policy;
  expect($schema).toBe('./rate-limits.schema.json');
  expect({ rules }).toEqual(defaultPolicy);
});
