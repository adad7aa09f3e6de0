import { Reader } from 'mmdb-lib';
import { z } from 'zod';
import { Problem } from '../../problem.ts';
import { networkOf } from '../../security/network-of.ts';
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

/**
 * Reads a database in MaxMind's open format (GeoLite2 City, GeoIP2 City, DB-IP City). Problem('configuration_invalid') when the bytes
 * are none, or one that knows no places, as those of countries and networks.
 */
export function readGeoipFile(bytes: Buffer): Locate {
  const reader = readerOf(bytes);
  // Every key stands in the file once at least, and entries point to it.
  if (!bytes.includes('latitude')) {
    const type = reader.metadata.databaseType;
    throw unfit(`is a database without places (${type}); give one of cities`);
  }
  const isOfIpv4 = reader.metadata.ipVersion === 4;

  return (address) => {
    const network = networkOf(address).replace('/64', '');
    if (isOfIpv4 && network.includes(':')) return undefined;
    try {
      const { location } = entry.parse(reader.get(network));
      const { latitude, longitude, accuracy_radius: radiusKm } = location;
      return { latitude, longitude, radiusKm };
    } catch {
      return undefined; // absent or damaged: whoever has that address must be able to log in all the same
    }
  };
}

function readerOf(bytes: Buffer): Reader<object> {
  const mark = bytes.subarray(-metadataBytes).lastIndexOf(metadataMark);
  if (mark === -1) throw unfit('is no MaxMind database (.mmdb), or not a whole one');
  try {
    const reader = new Reader<object>(bytes);
    const { searchTreeSize } = reader.metadata;
    if (searchTreeSize > 0 && searchTreeSize < bytes.length) return reader;
  } catch (cause) {
    throw unfit('is a damaged MaxMind database', cause);
  }
  throw unfit('is a damaged MaxMind database');
}

function unfit(detail: string, cause?: unknown): Problem {
  return new Problem('configuration_invalid', { detail, cause });
}
