/** Writes docs/verification-file.schema.json, made from src/config/verification-file.ts. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { format, resolveConfig } from 'prettier';
import { verificationSchema } from './verification-schema.ts';

const file = path.resolve(import.meta.dirname, '../docs/verification-file.schema.json');
const style = { ...(await resolveConfig(file)), filepath: file };
writeFileSync(file, await format(JSON.stringify(verificationSchema()), style));
