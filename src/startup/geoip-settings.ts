import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import type { AppSettings } from '../assembly/settings.ts';
import type { Configuration } from '../config/schema.ts';
import { readGeoipFile } from '../customers/travel/geoip-file.ts';
import { unfit } from '../customers/travel/geoip-weight.ts';
import { Problem } from '../problem.ts';
import { Refusal } from './material.ts';

const variable = 'COUNTERSIGN_GEOIP_DATABASE_FILE';

/** Tells where addresses are by the operator's database; undefined without one. Throws a {@link Refusal}. */
export function geoipSettings({
  geoipDatabaseFile: file,
}: Pick<Configuration, 'geoipDatabaseFile'>): AppSettings['locate'] {
  if (file === undefined) return undefined;
  try {
    return readGeoipFile(bytesOf(file));
  } catch (error) {
    const reason = error instanceof Problem ? error.detail : undefined;
    throw new Refusal([`${variable} ${reason ?? "can't be read"}: ${file}`]);
  }
}

/** Those that are sold have some 100 MB. */
const largestFile = 1_073_741_824;

/** Opened without waiting, and looked at before it is read: a pipe has no end and often no beginning. */
function bytesOf(file: string): Buffer {
  const opened = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const found = fstatSync(opened);
    if (!found.isFile() && !found.isDirectory()) throw unfit('is no ordinary file');
    if (found.size > largestFile) throw unfit('is larger than 1 GiB');
    return readFileSync(opened);
  } finally {
    closeSync(opened);
  }
}
