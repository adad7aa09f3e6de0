import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { consentOpenApi } from '../../src/consents/api/consent-openapi-api.ts';

type Json = Record<string, unknown>;

interface Operation {
  operationId: string;
  parameters: Json[];
  responses: Record<string, Json>;
  security: Json[];
  requestBody?: Json;
}

const file = new URL('../../docs/openapi/consents.json', import.meta.url);
const description = JSON.parse(await readFile(file, 'utf8')) as Json;
const methods = new Set(['get', 'post', 'delete']);

/** Every object within, the outermost first. */
function objectsIn(value: unknown): Json[] {
  if (typeof value !== 'object' || value === null) return [];
  const inner = Object.values(value).flatMap(objectsIn);
  return Array.isArray(value) ? inner : [value as Json, ...inner];
}

function at(pointer: string): unknown {
  const steps = pointer.replace(/^#\//, '').split('/');
  return steps.reduce<unknown>((value, step) => (value as Json | undefined)?.[step], description);
}

const paths = description['paths'] as Record<string, Json>;
const operations = Object.entries(paths).flatMap(([path, item]) =>
  Object.entries(item)
    .filter(([method]) => methods.has(method))
    .map(([method, operation]) => ({ path, method, item, operation: operation as Operation })),
);

describe('docs/openapi/consents.json', () => {
  it('is what the schemas make (node tools/update-openapi.ts)', () => {
    expect(description).toEqual(JSON.parse(JSON.stringify(consentOpenApi())));
  });

  it('is OpenAPI 3.1 with references that lead somewhere', () => {
    expect(description['openapi']).toMatch(/^3\.1\.\d+$/);
    expect(description['info']).toMatchObject({ title: 'Consents', version: '1' });
    const references = objectsIn(description).flatMap(({ $ref: reference }) =>
      typeof reference === 'string' ? [reference] : [],
    );
    expect(references.length).toBeGreaterThan(10);
    for (const reference of references) {
      expect({ reference, found: typeof at(reference) }).toEqual({ reference, found: 'object' });
    }
  });

  it('has operations with all that the specification demands', () => {
    const ids = operations.map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { path, item, method, operation } of operations) {
      expect(path).toMatch(/^\//);
      const responses = Object.entries(operation.responses);
      expect(responses.every(([status]) => /^[2-5]\d\d$/.test(status))).toBe(true);
      expect(responses.every(([, { description: text }]) => typeof text === 'string')).toBe(true);
      expect(operation.security.length).toBeGreaterThan(0);
      expect(operation.requestBody === undefined).toBe(method !== 'post');
      const named = path.includes('{ConsentId}');
      expect(JSON.stringify(item['parameters'] ?? []).includes('ConsentId')).toBe(named);
    }
  });

  it('refuses members that it does not name, as the server does', () => {
    const schemas = (description['components'] as { schemas: Record<string, Json> }).schemas;
    const requests = Object.entries(schemas).filter(([name]) => name.endsWith('Request'));
    expect(requests).toHaveLength(5);
    for (const [, schema] of requests) {
      const objects = objectsIn(schema).filter(
        ({ type, properties }) => type === 'object' && properties !== undefined,
      );
      expect(objects.every((one) => one['additionalProperties'] === false)).toBe(true);
    }
  });
});
