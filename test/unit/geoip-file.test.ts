import { describe, expect, it } from 'vitest';
import { readGeoipFile } from '../../src/customers/travel/geoip-file.ts';
import { addressIn, cities, citiesFile, entryOf } from '../support/cities.ts';
import { mmdbFile } from '../support/mmdb.ts';

const problem = (sentence: string) =>
  expect.objectContaining({
    code: 'configuration_invalid',
    detail: expect.stringContaining(sentence) as string,
  }) as Error;

describe('A database of cities', () => {
  const locate = readGeoipFile(citiesFile());

  it.each([
    ['an IPv4 address', addressIn.berlin, cities.berlin],
    ['another network beside it', addressIn.potsdam, cities.potsdam],
    ['a far one', addressIn.sydney, cities.sydney],
    ['an IPv6 address', addressIn.newYork, cities.newYork],
    ['IPv4 in IPv6', '::ffff:198.51.100.200', cities.sydney],
    ['IPv4 in IPv6 in hexadecimal', '::ffff:c633:64c8', cities.sydney],
  ])('knows where %s is', (_what, address, city) => {
    expect(locate(address)).toEqual({ ...city, radiusKm: 20 });
  });

  it.each(['203.0.113.1', '10.0.0.1', '127.0.0.1', '::1', 'fe80::1%eth0', '2001:db9::1', ''])(
    'knows nothing of %j',
    (address) => {
      expect(locate(address)).toBeUndefined();
    },
  );

  it('may know IPv4 alone', () => {
    const old = readGeoipFile(citiesFile({ ipVersion: 4 }));
    expect(old(addressIn.sydney)).toEqual({ ...cities.sydney, radiusKm: 20 });
    expect(old('::ffff:198.51.100.7')).toBeDefined();
    expect(old('c633:6400::1')).toBeUndefined(); // whose first bits are those of a network that it knows
  });

  it('may leave out how sure it is', () => {
    const found = readGeoipFile(mmdbFile([['192.0.2.0/24', { location: { ...cities.berlin } }]]));
    expect(found('192.0.2.1')).toEqual({ ...cities.berlin, radiusKm: 200 });
  });

  it.each([
    ['only a country', { country: { iso_code: 'DE' } }],
    ['no longitude', { location: { latitude: 1 } }],
    ['a place beyond the poles', entryOf({ latitude: 91, longitude: 0 })],
    ['words for numbers', { location: { latitude: '1', longitude: '2' } }],
    ['not a number', entryOf({ latitude: Number.NaN, longitude: 0 })],
  ])('that has %s for a network knows nothing of that one', (_what, entry) => {
    const found = readGeoipFile(
      mmdbFile([
        ['192.0.2.0/24', entry],
        ['198.51.100.0/24', entryOf(cities.sydney)],
      ]),
    );
    expect(found('192.0.2.1')).toBeUndefined();
    expect(found('198.51.100.1')).toBeDefined();
  });

  it('lets an address be unknown whose entry is damaged', () => {
    const bytes = citiesFile();
    const entries = bytes.indexOf('location') - 2;
    bytes.fill(0xff, entries, bytes.lastIndexOf('MaxMind.com') - 3);
    bytes.write('latitude', entries + 40);
    expect(readGeoipFile(bytes)(addressIn.berlin)).toBeUndefined();
  });
});

describe('Refused with a sentence is', () => {
  const whole = citiesFile();
  it.each<[string, Buffer, string]>([
    ['an empty file', Buffer.alloc(0), 'is no MaxMind database'],
    ['something else', Buffer.from('{"cities": []}'.repeat(100)), 'is no MaxMind database'],
    ['half of one', whole.subarray(0, whole.length >> 1), 'is no MaxMind database'],
    ['one whose metadata are cut', whole.subarray(0, -60), 'is a damaged MaxMind database'],
    ['one without its beginning', whole.subarray(-240), 'is a damaged MaxMind database'],
    [
      'one of countries',
      mmdbFile([['192.0.2.0/24', { country: { iso_code: 'DE' } }]], { type: 'Test-Country' }),
      'is a database without places (Test-Country); give one of cities',
    ],
  ])('%s', (_what, bytes, sentence) => {
    expect(() => readGeoipFile(bytes)).toThrow(problem(sentence));
  });
});
