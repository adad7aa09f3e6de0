import fc from 'fast-check';
import { isIP } from 'node:net';
import { describe, expect, it } from 'vitest';
import {
  forwardedAddress,
  type AddressHeaderKind,
} from '../../src/tls/proxies/forwarded-address.ts';

function read(kind: AddressHeaderKind, values: string[], hops = 1): string | undefined {
  return forwardedAddress(kind, new Map([[kind, values]]), hops);
}

describe('The address that a proxy tells', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['203.0.113.9, 192.0.2.1', '192.0.2.1'],
    ['192.0.2.1:4711', '192.0.2.1'],
    ['2001:DB8::1', '2001:db8::1'],
    ['[2001:db8::1]:443', '2001:db8::1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:c000:201', '192.0.2.1'],
    ['[0:0:0:0:0:ffff:c000:0201]:443', '192.0.2.1'],
    ['::ffff:0:c000:201', '::ffff:0:c000:201'],
  ])('in X-Forwarded-For %s is %s', (value, expected) => {
    expect(read('x-forwarded-for', [value])).toBe(expected);
  });

  it.each([
    ['for=192.0.2.1', '192.0.2.1'],
    ['for=203.0.113.9, For="[2001:db8::1]:4711";proto=https;by=203.0.113.43', '2001:db8::1'],
    ['proto=https;for="192.0.2.1:80"', '192.0.2.1'],
  ])('in Forwarded %s is %s', (value, expected) => {
    expect(read('forwarded', [value])).toBe(expected);
  });

  it.each(['', 'unknown', '_hidden', '192.0.2.1.5', '192.0.2.1, ', 'fe80::1%eth0', 'x[::1]'])(
    'is none where X-Forwarded-For is %j',
    (value) => {
      expect(read('x-forwarded-for', [value])).toBeUndefined();
    },
  );

  it.each(['', 'for=unknown', 'for=192.0.2.1;for=192.0.2.2', 'proto=https', 'for=1 92.0.2.1'])(
    'is none where Forwarded is %j',
    (value) => {
      expect(read('forwarded', [value])).toBeUndefined();
    },
  );

  it('is that many places from the end as there are proxies', () => {
    const value = ['10.9.9.9, 192.0.2.1', '10.0.0.7'];
    expect(read('x-forwarded-for', value, 2)).toBe('192.0.2.1');
    expect(read('x-forwarded-for', value, 3)).toBe('10.9.9.9');
    expect(read('x-forwarded-for', value, 4)).toBeUndefined();
  });

  it('is none where it is not asked for, or in a list without end', () => {
    expect(read('none', ['192.0.2.1'])).toBeUndefined();
    expect(read('x-forwarded-for', [new Array(51).fill('192.0.2.1').join()])).toBeUndefined();
  });

  it('is an address or none, whatever is sent', () => {
    fc.assert(
      fc.property(fc.string(), fc.constantFrom('forwarded', 'x-forwarded-for'), (text, kind) => {
        const address = read(kind, [text]);
        return address === undefined || isIP(address) !== 0;
      }),
    );
  });
});
