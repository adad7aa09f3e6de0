/** Puts the table of settings, made from src/config/schema.ts, into README.md. */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { withSettings } from './readme-settings.ts';

const file = path.resolve(import.meta.dirname, '../README.md');
writeFileSync(file, withSettings(readFileSync(file, 'utf8')));
