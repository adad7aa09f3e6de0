/** Writes docs/rate-limits.schema.json, made from src/config/rate-limit-policy.ts, and the built-in policy beside it. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { format, resolveConfig } from 'prettier';
import { defaultPolicy } from '../src/rate-limits/policy.ts';
import { rateLimitSchema } from './rate-limit-schema.ts';

const documents = {
  'rate-limits.schema.json': rateLimitSchema(),
  'rate-limits.default.json': { $schema: './rate-limits.schema.json', ...defaultPolicy },
};
for (const [name, content] of Object.entries(documents)) {
  const file = path.resolve(import.meta.dirname, '../docs', name);
  const style = { ...(await resolveConfig(file)), filepath: file };
  writeFileSync(file, await format(JSON.stringify(content), style));
}
