import { mmdbFile } from './mmdb.ts';
import type { MmdbMap, MmdbNetwork, MmdbOptions } from './mmdb.ts';

/** Cities that everybody can find on a map. */
export const cities = {
  berlin: { latitude: 52.52, longitude: 13.405 },
  potsdam: { latitude: 52.39, longitude: 13.065 },
  sydney: { latitude: -33.8688, longitude: 151.2093 },
  newYork: { latitude: 40.7128, longitude: -74.006 },
  auckland: { latitude: -36.8485, longitude: 174.7633 },
  honolulu: { latitude: 21.3069, longitude: -157.8583 },
} as const;

/** An entry as databases of cities have it, some 20 km about. */
export function entryOf({ latitude, longitude }: { latitude: number; longitude: number }): MmdbMap {
  return { location: { latitude, longitude, accuracy_radius: { uint16: 20 } } };
}

/** Addresses for documentation (RFC 5737, RFC 3849), each as if it lay in a city. */
export const addressIn = {
  berlin: '192.0.2.7',
  potsdam: '192.0.2.200',
  sydney: '198.51.100.7',
  newYork: '2001:db8:1:2::7',
} as const;

const networks: readonly MmdbNetwork[] = [
  ['192.0.2.0/25', entryOf(cities.berlin)],
  ['192.0.2.128/25', entryOf(cities.potsdam)],
  ['198.51.100.0/24', entryOf(cities.sydney)],
  ['2001:db8:1::/48', entryOf(cities.newYork)],
];

/** A database that knows where {@link addressIn} are, and nothing else. */
export function citiesFile(options?: MmdbOptions): Buffer {
  const isIpv4 = options?.ipVersion === 4;
  return mmdbFile(
    networks.filter(([network]) => !(isIpv4 && network.includes(':'))),
    options,
  );
}
