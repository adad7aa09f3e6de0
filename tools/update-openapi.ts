/** Puts the description of the consent APIs, made from their schemas, into docs/openapi/consents.json. */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { consentOpenApi } from '../src/consents/api/consent-openapi-api.ts';

const file = path.resolve(import.meta.dirname, '../docs/openapi/consents.json');
mkdirSync(path.dirname(file), { recursive: true });
writeFileSync(file, `${JSON.stringify(consentOpenApi(), null, 2)}\n`);
