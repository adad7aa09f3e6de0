import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { apiKeyOpenApi } from '../../src/api-keys/api/api-key-openapi-api.ts';
import { findPlace } from '../../src/api-keys/api/api-key-places-api.ts';

type Json = Record<string, unknown>;

const file = new URL('../../docs/openapi/api-keys.json', import.meta.url);
const description = JSON.parse(await readFile(file, 'utf8')) as Json & { paths: Json };

describe('docs/openapi/api-keys.json', () => {
  it('is what the schemas make (npm run docs:openapi)', () => {
    expect(description).toEqual(JSON.parse(JSON.stringify(apiKeyOpenApi())));
  });

  it('describes every place of the API', () => {
    const id = crypto.randomUUID();
    const places = Object.keys(description.paths).map((path) =>
      findPlace(path.replace('{id}', id)),
    );
    expect(places).toEqual([
      { name: 'keys' },
      ...['key', 'rotate', 'usage'].map((name) => ({ name, id })),
      { name: 'verify' },
    ]);
    expect(findPlace('/api-keys/v1/verify/')).toBe('none');
    expect(findPlace('/api-keys/v2/verify')).toBeUndefined();
  });

  it('refuses members that it does not name, as the server does', () => {
    const { schemas } = description['components'] as { schemas: Record<string, Json> };
    const requests = Object.entries(schemas).filter(([name]) => name.endsWith('Request'));
    expect(requests).toHaveLength(3);
    for (const [, schema] of requests) expect(schema['additionalProperties']).toBe(false);
  });
});
