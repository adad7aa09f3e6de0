import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  endsSoon,
  faultsOf,
  remainingOf,
  stateOf,
  successorEnd,
} from '../../src/api-keys/api-key.ts';
import { createHoldings } from '../../src/api-keys/holdings.ts';
import { isNetwork, matcherOf } from '../../src/api-keys/key-addresses.ts';
import { isWellFormed, keyFrom, prefixOf } from '../../src/api-keys/key-format.ts';

const bytes = fc.uint8Array({ minLength: 32, maxLength: 32 });
const mode = fc.constantFrom('live' as const, 'test' as const);
const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** Written down once more, from docs/api-keys.md. */
function checksumByTheBook(text: string): string {
  let rest = crc32(text);
  let digits = '';
  for (let i = 0; i < 6; i += 1) {
    digits = alphabet.charAt(rest % 62) + digits;
    rest = Math.floor(rest / 62);
  }
  return digits;
}

function numberIn(base62: string): bigint {
  return base62.split('').reduce((sum, digit) => sum * 62n + BigInt(alphabet.indexOf(digit)), 0n);
}

describe('The format of keys', () => {
  it('holds all 256 bits and a checksum that others can compute', () => {
    fc.assert(
      fc.property(bytes, mode, (random, of) => {
        const key = keyFrom(of, random);
        expect(key).toMatch(/^ck_(live|test)_[0-9A-Za-z]{49}$/);
        const body = key.slice(8, -6);
        expect(numberIn(body)).toBe(BigInt(`0x${Buffer.from(random).toString('hex')}`));
        expect(key.slice(-6)).toBe(checksumByTheBook(`ck_${of}_${body}`));
        expect(isWellFormed(key, of)).toBe(true);
        expect(isWellFormed(key, of === 'live' ? 'test' : 'live')).toBe(false);
        expect(key.startsWith(prefixOf(key))).toBe(true);
        expect(prefixOf(key)).toHaveLength(14);
      }),
    );
  });

  it('notices every wrong letter, two that changed places, and what was cut off or added', () => {
    const typo = fc.record({ random: bytes, at: fc.nat(48), letter: fc.nat(61) });
    fc.assert(
      fc.property(typo, ({ random, at, letter }) => {
        const key = keyFrom('live', random);
        const place = 8 + at;
        const wrong = key.slice(0, place) + alphabet.charAt(letter) + key.slice(place + 1);
        expect(isWellFormed(wrong, 'live')).toBe(wrong === key);
        const [a = '', b = ''] = key.slice(place, place + 2);
        const swapped = key.slice(0, place) + b + a + key.slice(place + 2);
        expect(isWellFormed(swapped, 'live')).toBe(swapped === key);
        expect(isWellFormed(key.slice(0, place), 'live')).toBe(false);
        expect(isWellFormed(key + alphabet.charAt(letter), 'live')).toBe(false);
      }),
    );
  });

  it('takes no other text', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 80, unit: 'binary' }), (text) => {
        expect(isWellFormed(text, 'live')).toBe(false);
        expect(isWellFormed(`ck_live_${text}`, 'live')).toBe(false);
      }),
    );
    expect(() => keyFrom('live', randomBytes(31))).toThrow(RangeError);
  });
});

describe('Networks', () => {
  it.each([
    ['192.0.2.1', true],
    ['192.0.2.0/24', true],
    ['::/0', true],
    ['2001:db8::1/128', true],
    ['192.0.2.0/33', false],
    ['192.0.2/24', false],
    ['fe80::1%eth0', false],
    ['2001:db8::/129', false],
    ['1.2.3.4/8/8', false],
    ['1.2.3.4/', false],
    ['localhost', false],
    ['', false],
  ])('%s is one: %s', (text, expected) => {
    expect(isNetwork(text)).toBe(expected);
  });

  it('hold the addresses that begin as they do', () => {
    const octet = fc.nat(255);
    fc.assert(
      fc.property(
        fc.tuple(octet, octet, octet, octet),
        fc.integer({ min: 0, max: 32 }),
        (ip, bits) => {
          const address = ip.join('.');
          const number = ip.reduce((sum, part) => sum * 256n + BigInt(part), 0n);
          const other = bits === 0 ? number : number ^ (1n << BigInt(32 - bits));
          const parts = [24n, 16n, 8n, 0n].map((shift) => String((other >> shift) & 255n));
          const admits = matcherOf([`${address}/${String(bits)}`]);
          expect(admits(address)).toBe(true);
          expect(admits(`::ffff:${address}`)).toBe(true);
          expect(admits(parts.join('.'))).toBe(bits === 0);
          expect(admits('2001:db8::1')).toBe(false);
        },
      ),
    );
    expect(matcherOf([])(undefined)).toBe(true);
    expect(matcherOf(['::/0'])(undefined)).toBe(false);
    expect(matcherOf(['::/0'])('nowhere')).toBe(false);
  });
});

const now = new Date('2026-11-22T12:00:00Z');
const inSeconds = (seconds: number) => new Date(now.getTime() + seconds * 1000);
const terms = {
  name: 'export',
  permissions: { api: ['read'] },
  addresses: [],
  limit: undefined,
  expiresAt: inSeconds(3600),
};
const bounds = { now, held: { api: ['read', 'write'] }, maxSeconds: 3600 };

describe('The rules of keys', () => {
  it('let nobody have more than they hold', () => {
    expect(faultsOf(terms, bounds)).toEqual([]);
    const scopes = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd'), { minLength: 1 });
    const permissions = fc.dictionary(fc.constantFrom('x', 'y', '__proto__', 'toString'), scopes);
    fc.assert(
      fc.property(permissions, permissions, (asked, held) => {
        const faults = faultsOf({ ...terms, permissions: asked }, { ...bounds, held });
        const isHeld = Object.entries(asked).every(([api, names]) =>
          names.every((one) => Object.hasOwn(held, api) && held[api]?.includes(one)),
        );
        expect(faults.length === 0).toBe(isHeld && Object.keys(asked).length > 0);
        const rest = remainingOf(asked, held);
        const again = faultsOf({ ...terms, permissions: rest }, { ...bounds, held });
        const nothingLeft = [{ path: 'permissions', message: 'a key must be good for something' }];
        expect(again).toEqual(Object.keys(rest).length > 0 ? [] : nothingLeft);
      }),
    );
  });

  it.each([
    [3600, []],
    [3601, ['expires_at']],
    [0, ['expires_at']],
    [-1, ['expires_at']],
  ])('bound a life of %i seconds', (seconds, paths) => {
    const faults = faultsOf({ ...terms, expiresAt: inSeconds(seconds) }, bounds);
    expect(faults.map(({ path }) => path)).toEqual(paths);
  });

  it('tell where a key is in its life', () => {
    const revokedAt = undefined;
    expect(stateOf({ revokedAt, expiresAt: inSeconds(1) }, now)).toBe('active');
    expect(stateOf({ revokedAt, expiresAt: now }, now)).toBe('expired');
    expect(stateOf({ revokedAt: now, expiresAt: inSeconds(1) }, now)).toBe('revoked');
    expect(endsSoon({ expiresAt: inSeconds(60) }, now, 60)).toBe(true);
    expect(endsSoon({ expiresAt: inSeconds(61) }, now, 60)).toBe(false);
  });

  it('give a successor its predecessor’s life, within the bounds', () => {
    const old = { createdAt: inSeconds(-1000), expiresAt: inSeconds(200) };
    expect(successorEnd(old, bounds)).toEqual(inSeconds(1200));
    expect(successorEnd(old, { now, maxSeconds: 60 })).toEqual(inSeconds(60));
  });
});

describe('What owners hold', () => {
  const permissionsOf = () => Promise.resolve({ api: ['read', 'gone'], elsewhere: ['x'] });
  const servers = [
    { identifier: 'api', scopes: { read: {}, write: {} } },
    { identifier: 'other', scopes: { write: {} } },
  ];
  const resourceServers = {
    list: () => Promise.resolve(servers),
    find: (id: string) => Promise.resolve(servers.find(({ identifier }) => identifier === id)),
  };
  const holdingsOf = (metadata: object | undefined) =>
    createHoldings({ metadataOf: () => Promise.resolve(metadata), permissionsOf }, resourceServers);
  const client = { type: 'client', id: 'tpp' } as const;
  const operator = { type: 'operator' } as const;

  it('is what a client may request and resource servers still have', async () => {
    const holdings = holdingsOf({});
    expect(remainingOf(await holdings.of(client), await holdings.of(operator))).toEqual({
      api: ['read'],
    });
    expect(await holdings.at(client, 'api')).toEqual(['read']);
    for (const id of ['other', 'elsewhere', 'toString']) {
      expect(await holdings.at(client, id)).toEqual([]);
    }
    expect(await holdings.at(operator, 'other')).toEqual(['write']);
    expect(await holdings.at(operator, 'elsewhere')).toEqual([]);
  });

  it('is nothing for a client that is not served, whatever it may request', async () => {
    const holdings = holdingsOf(undefined);
    expect(await holdings.of(client)).toEqual({});
    expect(await holdings.at(client, 'api')).toEqual([]);
  });
});
