/** Puts the descriptions of our APIs, made from their schemas, into docs/openapi. */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { apiKeyOpenApi } from '../src/api-keys/api/api-key-openapi-api.ts';
import { consentOpenApi } from '../src/consents/api/consent-openapi-api.ts';

const directory = path.resolve(import.meta.dirname, '../docs/openapi');
mkdirSync(directory, { recursive: true });
const documents = { 'api-keys': apiKeyOpenApi(), consents: consentOpenApi() };
for (const [name, document] of Object.entries(documents)) {
  writeFileSync(path.join(directory, `${name}.json`), `${JSON.stringify(document, null, 2)}\n`);
}
