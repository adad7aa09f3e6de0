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

/** Arrays of two pointers to the next such array, as many levels: 2^`levels` values in six bytes a level. */
function doubling(levels: number, at: number): Buffer {
  const arrays = Array.from({ length: levels }, (_, level) => {
    const next = at + (level + 1) * 6;
    const pointer = [0x20 | (next >> 8), next & 0xff];
    return Buffer.from([2, 4, ...pointer, ...pointer]);
  });
  return Buffer.concat([...arrays, Buffer.from([0, 7])]);
}

/** An array of so many falsehoods. */
function falsehoods(count: number): Buffer {
  const head = Buffer.from([31, 4, 0, 0, 0]);
  head.writeUIntBE(count - 65_821, 2, 3);
  return Buffer.concat([head, Buffer.alloc(count * 2, Buffer.from([0, 7]))]);
}

function longText(length: number): Buffer {
  const head = Buffer.from([0x5f, 0, 0, 0]);
  head.writeUIntBE(length - 65_821, 1, 3);
  return Buffer.concat([head, Buffer.alloc(length, 'a')]);
}

/** As many arrays of one, each in the other. */
const nested = (levels: number) =>
  Buffer.concat([Buffer.alloc(levels * 2, Buffer.from([1, 4])), Buffer.from([0, 7])]);

const mark = Buffer.from('abcdef4d61784d696e642e636f6d', 'hex');

/** A database whose entry for Berlin has a place, and `more` beside it; its other entry is as usual. */
function fileWith(more: (at: number) => Buffer): Buffer {
  const filler = 'x'.repeat(5);
  const bytes = mmdbFile([
    ['192.0.2.0/24', { ...entryOf(cities.berlin), more: filler }],
    ['198.51.100.0/24', entryOf(cities.sydney)],
  ]);
  const end = bytes.lastIndexOf(mark);
  const data = bytes.indexOf('location') - 2;
  const added = more(end - data);
  const pointer = Buffer.from([0x38, 0, 0, 0, 0, 0]);
  pointer.writeUInt32BE(end - data, 1);
  const at = bytes.indexOf(filler) - 1;
  // As long as the filler, so that the entry for Sydney stays where it is; nobody reads the last byte.
  return Buffer.concat([
    bytes.subarray(0, at),
    pointer,
    bytes.subarray(at + 6, end),
    added,
    bytes.subarray(end),
  ]);
}

describe('An entry that takes long to read', () => {
  it.each([
    ['pointers that double forty times', (at: number) => doubling(40, at)],
    ['70,000 members', () => falsehoods(70_000)],
    ['100,000 letters', () => longText(100_000)],
    ['a hundred levels', () => nested(100)],
  ])('for %s lets its addresses be unknown, and no others', (_what, more) => {
    const locate = readGeoipFile(fileWith(more));
    expect(locate('192.0.2.1')).toBeUndefined();
    expect(locate('198.51.100.1')).toEqual({ ...cities.sydney, radiusKm: 20 });
  });

  it.each([
    ['some members', (at: number) => doubling(8, at)],
    ['some levels', () => nested(20)],
  ])('is none for %s', (_what, more) => {
    const locate = readGeoipFile(fileWith(more));
    expect(locate('192.0.2.1')).toEqual({ ...cities.berlin, radiusKm: 20 });
  });
});

/** A map of 15 members that begins like the end of the mark: who looks from the end for `m` first is led astray. */
const astray = Buffer.concat([
  mark.subarray(2),
  Buffer.from([0, 0, 0, 0, 7]),
  Buffer.alloc(14 * 4, Buffer.from([0x41, 0x61, 0, 7])),
]);

/** A whole database whose metadata are these bytes. */
const described = (metadata: Buffer) => {
  const bytes = citiesFile();
  return Buffer.concat([bytes.subarray(0, bytes.lastIndexOf(mark) + mark.length), metadata]);
};

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
    [
      'one whose type would move a cursor',
      mmdbFile([['192.0.2.0/24', {}]], { type: `\u001b[2J\u202e${'x'.repeat(100)}` }),
      `is a database without places (??2J?${'x'.repeat(35)}); give one of cities`,
    ],
    ['one whose metadata double', described(doubling(40, 0)), 'to read it takes too long'],
    [
      'one whose mark the reader overlooks',
      described(Buffer.concat([doubling(40, 0), mark, astray])),
      'is a damaged MaxMind database',
    ],
  ])('%s', (_what, bytes, sentence) => {
    expect(() => readGeoipFile(bytes)).toThrow(problem(sentence));
  });
});
