import { readdir, readFile } from 'node:fs/promises';
import { Validator } from '@seriousme/openapi-schema-validator';
import { describe, expect, it } from 'vitest';

const folder = new URL('../../docs/openapi/', import.meta.url);
const names = (await readdir(folder)).sort();

const read = async (name: string) =>
  JSON.parse(await readFile(new URL(name, folder), 'utf8')) as Record<string, unknown>;

/** Against the schema that the OpenAPI Initiative publishes for the document's version. */
describe.each(names)('docs/openapi/%s', (name) => {
  it('is a valid OpenAPI 3.1 document', async () => {
    const validator = new Validator();
    expect(await validator.validate(await read(name))).toEqual({ valid: true });
    expect(validator.version).toBe('3.1');
  });

  it('would be refused with a member that the specification does not know', async () => {
    const document = { ...(await read(name)), operations: [] };
    expect(await new Validator().validate(document)).toMatchObject({ valid: false });
  });
});
