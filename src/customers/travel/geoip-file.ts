import { Reader } from 'mmdb-lib';
import { z } from 'zod';
import { networkOf } from '../../security/network-of.ts';
import { damaged, rejectHeavyValue, unfit } from './geoip-weight.ts';
import type { Place } from './travel.ts';

/** Where an address is; undefined where nobody knows, as of private addresses. */
export type Locate = (address: string) => Place | undefined;

/** Where a database gives none, as DB-IP's: its cities are often the provider's. */
const usualRadiusKm = 200;

const entry = z.object({
  location: z.object({
    latitude: z.number().min(-90).max(90),
    longitude: z.number().min(-180).max(180),
    accuracy_radius: z.number().min(0).default(usualRadiusKm),
  }),
});

/** Begins the metadata, which are the file's last 128 KiB at most (MaxMind DB File Format Specification 2.0). */
const metadataMark = Buffer.from('abcdef4d61784d696e642e636f6d', 'hex');
const metadataBytes = 131_072;

/** Between the tree and the data. */
const separatorBytes = 16;

/**
 * Reads a database in MaxMind's open format (GeoLite2 City, GeoIP2 City, DB-IP City). Problem('configuration_invalid') when the bytes
 * are none, or one that knows no places, as those of countries and networks. A look-up takes little time, whatever the bytes are.
 */
export function readGeoipFile(bytes: Buffer): Locate {
  const { reader, get } = readerOf(bytes);
  // Every key stands in the file once at least, and entries point to it.
  if (!bytes.includes('latitude')) {
    const type = typeOf(reader.metadata);
    throw unfit(`is a database without places (${type}); give one of cities`);
  }
  const isOfIpv4 = reader.metadata.ipVersion === 4;

  return (address) => {
    const network = networkOf(address).replace('/64', '');
    if (isOfIpv4 && network.includes(':')) return undefined;
    try {
      const { location } = entry.parse(get(network));
      const { latitude, longitude, accuracy_radius: radiusKm } = location;
      return { latitude, longitude, radiusKm };
    } catch {
      return undefined; // absent, damaged or endless: whoever has that address must be able to log in all the same
    }
  };
}

interface Reading {
  reader: Pick<Reader<object>, 'metadata'>;
  get: (address: string) => unknown;
}

function readerOf(bytes: Buffer): Reading {
  rejectUnreadable(bytes);
  let isEntry = true;
  const reader = damagedUnless(() => {
    // Before it follows a pointer it asks for what it may have read already: first for that of the tree to the entry.
    const found = new Reader<object>(bytes, { cache: { get: weigh, set: () => undefined } });
    const { searchTreeSize } = found.metadata;
    return searchTreeSize > 0 && searchTreeSize < bytes.length ? found : undefined;
  });
  const start = reader.metadata.searchTreeSize + separatorBytes;

  function weigh(offset: string | number): undefined {
    if (isEntry) rejectHeavyValue({ bytes, start }, Number(offset));
    isEntry = false;
  }

  return {
    reader,
    get(address) {
      isEntry = true;
      return reader.get(address);
    },
  };
}

function rejectUnreadable(bytes: Buffer): void {
  const last = bytes.subarray(-metadataBytes);
  const mark = last.lastIndexOf(metadataMark);
  if (mark === -1) throw unfit('is no MaxMind database (.mmdb), or not a whole one');
  const offset = bytes.length - last.length + mark + metadataMark.length;
  // The reader looks from the end without going back, and misses a mark that is followed by a part of one.
  if (metadataMark.includes(bytes[offset] ?? 0)) throw unfit(damaged);
  rejectHeavyValue({ bytes, start: offset }, offset);
}

function damagedUnless<T>(read: () => T | undefined): T {
  try {
    const found = read();
    if (found !== undefined) return found;
  } catch (cause) {
    throw unfit(damaged, cause);
  }
  throw unfit(damaged);
}

/** As much of it as fits a line, for it ends in a terminal. */
function typeOf({ databaseType }: { databaseType: unknown }): string {
  if (typeof databaseType !== 'string') return 'of no type';
  return databaseType.slice(0, 40).replace(/[^\w .,()-]/g, '?');
}
