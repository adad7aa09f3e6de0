import { readFileSync } from 'node:fs';
import type { AppSettings } from '../assembly/settings.ts';
import type { Configuration } from '../config/schema.ts';
import { readGeoipFile } from '../customers/travel/geoip-file.ts';
import { Problem } from '../problem.ts';
import { Refusal } from './material.ts';

const variable = 'COUNTERSIGN_GEOIP_DATABASE_FILE';

/** Tells where addresses are by the operator's database; undefined without one. Throws a {@link Refusal}. */
export function geoipSettings({
  geoipDatabaseFile: file,
}: Pick<Configuration, 'geoipDatabaseFile'>): AppSettings['locate'] {
  if (file === undefined) return undefined;
  try {
    return readGeoipFile(readFileSync(file));
  } catch (error) {
    const reason = error instanceof Problem ? error.detail : undefined;
    throw new Refusal([`${variable} ${reason ?? "can't be read"}: ${file}`]);
  }
}
