import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { derTag, encodeObjectIdentifier, writeDer } from '../../src/tls/der.ts';
import {
  formatDistinguishedName,
  maxDistinguishedNameLength,
  parseDistinguishedName,
} from '../../src/tls/names/distinguished-name-text.ts';
import {
  distinguishedNameOf,
  encodeDistinguishedName,
  sameDistinguishedName,
  type DistinguishedName,
} from '../../src/tls/names/distinguished-name.ts';
import { Problem } from '../../src/problem.ts';

/** Written by OpenSSL 3.0 with `string_mask=utf8only` and with `pkix` (BMPString, T61String). */
const opensslNames = {
  utf8only:
    '30820114310b300906035504061302435a311d301b060355040a0c1442616e6b6120c48c6573746ec3a12c20612e732e311b301906035504610c12505344435a2d434e422d3132333435363738311d301b060355040f0c1450726976617465204f7267616e697a6174696f6e31133011060b2b0601040182373c0201031302435a3126300f060355040b0c085061796d656e74733013060a0992268993f22c6401010c057470702d313111300f060355040513083132333435363738311e301c06092a864886f70d010901160f4f7073404578616d706c652e636f6d31173015060a0992268993f22c64011916076578616d706c653121301f06035504030c18c5bd6c75c5a56f75c48d6bc3bd20226bc5afc58822202331',
  pkix: '30820130310b300906035504061302435a312d302b060355040a1e2400420061006e006b00610020010c006500730074006e00e1002c00200061002e0073002e311b301906035504611312505344435a2d434e422d3132333435363738311d301b060355040f131450726976617465204f7267616e697a6174696f6e31133011060b2b0601040182373c0201031302435a3126300f060355040b13085061796d656e74733013060a0992268993f22c64010113057470702d313111300f060355040513083132333435363738311e301c06092a864886f70d010901160f4f7073404578616d706c652e636f6d31173015060a0992268993f22c64011916076578616d706c65312d302b06035504031e24017d006c00750165006f0075010d006b00fd00200022006b016f01480022002000230031',
};
/** The same name as `openssl x509 -nameopt RFC2253` prints it. */
const opensslText =
  'CN=\\C5\\BDlu\\C5\\A5ou\\C4\\8Dk\\C3\\BD \\"k\\C5\\AF\\C5\\88\\" #1,DC=example,emailAddress=Ops@Example.com,serialNumber=12345678,UID=tpp-1+OU=Payments,jurisdictionC=CZ,businessCategory=Private Organization,organizationIdentifier=PSDCZ-CNB-12345678,O=Banka \\C4\\8Cestn\\C3\\A1\\, a.s.,C=CZ';

const CN = '2.5.4.3';

function same(a: string, b: string): boolean {
  return sameDistinguishedName(parseDistinguishedName(a), parseDistinguishedName(b));
}

/** A Name with one CN whose value is the given DER. */
function nameWith(tag: number, content: Buffer): Buffer {
  const type = writeDer(derTag.objectIdentifier, encodeObjectIdentifier(CN));
  const attribute = writeDer(derTag.sequence, type, writeDer(tag, content));
  return writeDer(derTag.sequence, writeDer(derTag.set, attribute));
}

function problemOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof Problem) return error.code;
    throw error;
  }
  return 'none';
}

const word = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 12 }),
  fc.string({
    unit: fc.constantFrom(' ', '#', '\\', ',', '+', '=', '"', ';', '<', '\n', 'a', 'é'),
  }),
);
const type = fc.constantFrom(CN, '2.5.4.10', '2.5.4.97', '0.9.2342.19200300.100.1.25', '1.2.3.4');
const attribute = fc.oneof(
  fc.record({ type, text: word }),
  fc.record({ type, der: fc.constantFrom('0500', '020107', '3003020101', '03020780') }),
);
const names: fc.Arbitrary<DistinguishedName> = fc.array(
  fc.array(attribute, { minLength: 1, maxLength: 3 }),
  { minLength: 1, maxLength: 5 },
);

describe('parseDistinguishedName', () => {
  it.each([
    ['CN=a', [[{ type: CN, text: 'a' }]]],
    ['cn=a,C=GB', [[{ type: '2.5.4.6', text: 'GB' }], [{ type: CN, text: 'a' }]]],
    [' CN = a , C = GB ', [[{ type: '2.5.4.6', text: 'GB' }], [{ type: CN, text: 'a' }]]],
    [
      'OU=x+CN=a',
      [
        [
          { type: '2.5.4.11', text: 'x' },
          { type: CN, text: 'a' },
        ],
      ],
    ],
    ['O=Sue\\, Grabbit and Runn', [[{ type: '2.5.4.10', text: 'Sue, Grabbit and Runn' }]]],
    ['CN=Lu\\C4\\8Di\\C4\\87', [[{ type: CN, text: 'Lučić' }]]],
    ['CN=\\20 a \\ ', [[{ type: CN, text: '  a  ' }]]],
    ['CN=a=b#c', [[{ type: CN, text: 'a=b#c' }]]],
    ['CN=\\#5', [[{ type: CN, text: '#5' }]]],
    ['CN=', [[{ type: CN, text: '' }]]],
    ['CN=#0c0161', [[{ type: CN, text: 'a' }]]],
    ['CN=#020107', [[{ type: CN, der: '020107' }]]],
    ['2.5.4.97=PSDGB-FCA-1', [[{ type: '2.5.4.97', text: 'PSDGB-FCA-1' }]]],
    ['OID.2.5.4.97=PSDGB-FCA-1', [[{ type: '2.5.4.97', text: 'PSDGB-FCA-1' }]]],
    ['1.3.6.1.4.1.1466.0=#04024869', [[{ type: '1.3.6.1.4.1.1466.0', der: '04024869' }]]],
  ])('reads %j', (text, expected) => {
    expect(parseDistinguishedName(text)).toEqual(expected);
  });

  it.each([
    ['OI=x', '2.5.4.97'],
    ['organizationIdentifier=x', '2.5.4.97'],
    ['jurisdictionCountryName=x', '1.3.6.1.4.1.311.60.2.1.3'],
    ['businesscategory=x', '2.5.4.15'],
    ['SERIALNUMBER=x', '2.5.4.5'],
    ['emailAddress=x', '1.2.840.113549.1.9.1'],
    ['GN=x', '2.5.4.42'],
    ['SN=x', '2.5.4.4'],
    ['T=x', '2.5.4.12'],
    ['STREET=x', '2.5.4.9'],
    ['DC=x', '0.9.2342.19200300.100.1.25'],
    ['UID=x', '0.9.2342.19200300.100.1.1'],
  ])('knows the type of %s', (text, id) => {
    expect(parseDistinguishedName(text)).toEqual([[{ type: id, text: 'x' }]]);
  });

  it.each([
    '',
    ' ',
    'CN',
    '=a',
    'CN=a,',
    ',CN=a',
    'CN=a+',
    'CN=a;O=b',
    'CN="a"',
    'CN=a\\',
    'CN=a\\z',
    'CN=a\0',
    'CN=\\ff',
    'CN=#',
    'CN=#0',
    'CN=#0c',
    'CN=#0c05',
    'CN=#0c80',
    'CN=#0c0161zz',
    'CN=#0c016161',
    'nonsense=a',
    '2=a',
    '2.05.4=a',
    '1.40.1=a',
    '3.1=a',
    'CN=\ud800',
    `CN=${'a'.repeat(maxDistinguishedNameLength)}`,
  ])('refuses %j', (text) => {
    expect(problemOf(() => parseDistinguishedName(text))).toBe('client_invalid');
  });

  it('never fails otherwise, whatever the text', () => {
    const fragment = fc.constantFrom('CN=', 'O', '=', '#', '0c01', '\\', ',', '+', ' ', '2.5', 'é');
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(fragment).map((p) => p.join('')),
    );
    fc.assert(
      fc.property(text, (input) => {
        expect(['none', 'client_invalid']).toContain(
          problemOf(() => parseDistinguishedName(input)),
        );
      }),
    );
  });

  it.each([
    ['spaces inside', `CN=a${' '.repeat(8000)}b`],
    ['spaces at the end', `CN=a${' '.repeat(8000)}\\`],
    ['escapes', `CN=${'\\,'.repeat(4000)}`],
    ['attributes', `CN=a${'+CN=a'.repeat(1600)}`],
    ['digits', `2.${'9'.repeat(8000)}=a`],
    ['a long arc', `CN=#06820400${'ff'.repeat(1024)}`],
  ])('is quick with the longest run of %s', (_what, text) => {
    const start = process.cpuUsage();
    problemOf(() => {
      const name = parseDistinguishedName(text);
      formatDistinguishedName(name);
      sameDistinguishedName(name, name);
    });
    const { user, system } = process.cpuUsage(start);
    expect(user + system).toBeLessThan(250_000); // microseconds; 10,000 are usual
  });
});

describe('formatDistinguishedName', () => {
  it('is undone by parsing', () => {
    fc.assert(
      fc.property(names, (name) => {
        expect(parseDistinguishedName(formatDistinguishedName(name))).toEqual(name);
      }),
    );
  });

  it('keeps line breaks and marks of direction out of the text', () => {
    const text = formatDistinguishedName([[{ type: CN, text: 'a\r\nb\u202ec\u2028' }]]);
    expect(text).toBe('CN=a\\0d\\0ab\\e2\\80\\aec\\e2\\80\\a8');
  });

  it('writes characters of an unnamed type as #hex', () => {
    expect(formatDistinguishedName([[{ type: '1.2.3', text: 'a' }]])).toBe('1.2.3=#0c0161');
  });
});

describe('distinguishedNameOf', () => {
  it.each(Object.entries(opensslNames))('reads what OpenSSL wrote (%s)', (_mask, hex) => {
    const name = distinguishedNameOf(Buffer.from(hex, 'hex'));
    expect(sameDistinguishedName(name, parseDistinguishedName(opensslText))).toBe(true);
    expect(name[0]).toEqual([{ type: '2.5.4.6', text: 'CZ' }]);
    expect(name[5]).toHaveLength(2);
  });

  it.each([
    ['UTF8String', derTag.utf8String, Buffer.from('Žu'), 'Žu'],
    ['PrintableString', derTag.printableString, Buffer.from('Zu'), 'Zu'],
    ['IA5String', derTag.ia5String, Buffer.from('z@u'), 'z@u'],
    ['TeletexString', derTag.teletexString, Buffer.from([0xe9]), 'é'],
    ['BMPString', derTag.bmpString, Buffer.from([0x01, 0x7d]), 'Ž'],
    ['UniversalString', derTag.universalString, Buffer.from([0, 1, 0xf6, 0]), '😀'],
  ])('reads %s', (...[, tag, content, text]) => {
    expect(distinguishedNameOf(nameWith(tag, content))).toEqual([[{ type: CN, text }]]);
  });

  it.each([
    ['broken UTF-8', derTag.utf8String, Buffer.from([0xff])],
    ['8-bit IA5', derTag.ia5String, Buffer.from([0xe9])],
    ['an odd BMPString', derTag.bmpString, Buffer.from([0x00])],
    ['half a surrogate pair', derTag.bmpString, Buffer.from([0xd8, 0x00])],
    ['a number', derTag.integer, Buffer.from([7])],
  ])('keeps %s as DER', (_name, tag, content) => {
    const der = writeDer(tag, content).toString('hex');
    expect(distinguishedNameOf(nameWith(tag, content))).toEqual([[{ type: CN, der }]]);
  });

  it('refuses any bytes that are no name with a Problem and nothing else', () => {
    const whole = Buffer.from(opensslNames.utf8only, 'hex');
    const damaged = fc
      .tuple(fc.nat(whole.length - 1), fc.nat(255), fc.nat(whole.length))
      .map(([at, byte, length]) => {
        const copy = Buffer.from(whole);
        copy[at] = byte;
        return copy.subarray(0, length);
      });
    const bytes = fc.oneof(
      damaged,
      fc.uint8Array().map((array) => Buffer.from(array)),
    );
    fc.assert(
      fc.property(bytes, (input) => {
        expect(['none', 'certificate_invalid']).toContain(
          problemOf(() => distinguishedNameOf(input)),
        );
      }),
    );
  });

  it('reads back what encodeDistinguishedName wrote', () => {
    fc.assert(
      fc.property(names, (name) => {
        const read = distinguishedNameOf(encodeDistinguishedName(name));
        const sorted = (dn: DistinguishedName): string[][] =>
          dn.map((attributes) => attributes.map((a) => JSON.stringify(a)).sort());
        expect(sorted(read)).toEqual(sorted(name));
      }),
    );
  });
});

describe('sameDistinguishedName', () => {
  it.each([
    ['case', 'CN=ABC,O=Bank', 'cn=abc,o=BANK'],
    ['inner and outer spaces', 'CN=a  b', 'CN=\\ a b\\ '],
    ['escapes', 'CN=a\\2Cb', 'CN=a\\,b'],
    ['string types', 'CN=#1e02017d', 'CN=ž'],
    ['composition', 'CN=é', 'CN=e\u0301'],
    ['width', 'CN=ＡＢＣ', 'CN=abc'],
    ['sharp s', 'CN=Straße', 'CN=STRASSE'],
    ['final sigma', 'CN=ΟΔΟΣ', 'CN=οδος'],
    ['soft hyphens', 'CN=Bank\u00adhaus', 'CN=Bankhaus'],
    ['kinds of space', 'CN=a\u00a0b', 'CN=a b'],
    ['order inside a multi-valued name', 'OU=x+CN=a,C=GB', 'CN=a+OU=x,C=GB'],
    ['short names and identifiers', 'OI=PSDGB-FCA-1', '2.5.4.97=psdgb-fca-1'],
    ['a host label', 'DC=Example', 'DC=#16074558414d504c45'],
  ])('ignores %s', (_what, a, b) => {
    expect(same(a, b)).toBe(true);
  });

  it.each([
    ['order', 'CN=a,O=b', 'O=b,CN=a'],
    ['count', 'CN=a,O=b', 'CN=a'],
    ['a multi-valued name against two names', 'CN=a+O=b', 'CN=a,O=b'],
    ['type', 'CN=a', 'OU=a'],
    ['a value with the separator inside', 'CN=a\\,O=b', 'CN=a,O=b'],
    ['spaces that are there or not', 'CN=ab', 'CN=a b'],
    ['accents', 'CN=e', 'CN=é'],
    ['dotless i', 'CN=bıg', 'CN=big'],
    ['bytes of other values', 'CN=#020107', 'CN=#020108'],
    ['characters against bytes that spell them', 'CN=#020107', 'CN=\\#020107'],
    ['doubled attributes', 'CN=a+CN=a', 'CN=a+CN=b'],
  ])('sees %s', (_what, a, b) => {
    expect(same(a, b)).toBe(false);
  });

  it.each([
    ['NUL', 'a\0b'],
    ['a private character', 'a\ue000'],
    ['the replacement character', 'a\ufffd'],
    ['an unassigned character', 'a\u0378'],
  ])('matches a value with %s to nothing, not even itself', (_what, text) => {
    expect(sameDistinguishedName([[{ type: CN, text }]], [[{ type: CN, text }]])).toBe(false);
  });

  it('does not depend on who is asked, on case or on the order of a set', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'B', 'é', 'ß', ' ', 'Σ', '1') });
    const plain = fc.array(fc.array(fc.record({ type, text: letters }), { minLength: 1 }), {
      minLength: 1,
    });
    fc.assert(
      fc.property(plain, plain, (a, b) => {
        const shouted = a.map((attributes) =>
          attributes
            .map(({ type: id, text }) => ({ type: id, text: text.toUpperCase() }))
            .reverse(),
        );
        expect(sameDistinguishedName(a, shouted)).toBe(true);
        expect(sameDistinguishedName(a, b)).toBe(sameDistinguishedName(b, a));
      }),
    );
  });
});
