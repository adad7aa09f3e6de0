import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLoginPatterns } from '../../src/customers/login-pattern-store.ts';
import type { LoginPatterns, TriedLogin } from '../../src/customers/login-pattern-store.ts';
import { atOnce, storeGround } from '../support/store.ts';
import type { StoreGround } from '../support/store.ts';

let ground: StoreGround;
let now = new Date('2026-01-01T00:00:00Z');
let one: LoginPatterns;
let other: LoginPatterns;

beforeAll(async () => {
  ground = await storeGround();
  const clock = { now: () => now };
  const { digestKey } = ground;
  one = createLoginPatterns({ sql: ground.sql, digestKey, clock });
  other = createLoginPatterns({ sql: ground.otherSql, digestKey, clock });
});

afterAll(() => ground.close());

let lastAddress = 0;

/** Of nobody, from nowhere, with no password of anybody else. */
function tried(change: Partial<TriedLogin> = {}): TriedLogin {
  lastAddress += 1;
  const address = `198.51.100.${String(lastAddress)}`;
  return { username: randomUUID(), address, password: randomUUID(), ...change };
}

const accountsIn = async (patterns: Promise<{ kind: string; accounts: number }[]>) =>
  Object.fromEntries((await patterns).map(({ kind, accounts }) => [kind, accounts]));

describe('Failed logins', () => {
  it('from one network on many accounts are seen by every process, and by nobody elsewhere', async () => {
    const { address } = tried();
    await atOnce(12, [one, other], (patterns) => patterns.failed(tried({ address })));
    expect(await accountsIn(one.look(tried({ address })))).toEqual({ network: 12, password: 0 });
    expect(await accountsIn(other.failed(tried({ address })))).toEqual({
      network: 13,
      password: 1,
    });
    expect(await accountsIn(one.look(tried()))).toEqual({ network: 0, password: 0 });
  });

  it('with one password on many accounts are seen wherever they come from', async () => {
    const { password } = tried();
    for (let i = 0; i < 11; i += 1) await one.failed(tried({ password }));
    expect(await accountsIn(other.look(tried({ password })))).toEqual({ network: 0, password: 11 });
  });

  it('of one account are one, in whatever letters, and none to that account', async () => {
    const { address, password } = tried();
    for (const username of ['Casey', 'casey ', 'CASEY']) {
      await one.failed(tried({ username, address, password }));
    }
    const inCommon = { network: 1, password: 1 };
    expect(await accountsIn(one.look(tried({ address, password })))).toEqual(inCommon);
    const own = tried({ username: 'casey', address, password });
    expect(await accountsIn(one.look(own))).toEqual({ network: 0, password: 0 });
  });

  it('count a whole /64 as one network', async () => {
    for (const end of ['1', '2', 'ffff:1'])
      await one.failed(tried({ address: `2001:db8::${end}` }));
    const seen = await accountsIn(one.look(tried({ address: '2001:db8::9' })));
    expect(seen['network']).toBe(3);
  });

  it('are forgotten when their owner comes in, and after a quarter of an hour', async () => {
    const { address } = tried();
    const mistaken = tried({ address });
    await one.failed(mistaken);
    await one.failed(tried({ address }));
    await other.succeeded({ ...mistaken, password: 'the right one' });
    expect(await accountsIn(one.look(tried({ address })))).toMatchObject({ network: 1 });
    now = new Date(now.getTime() + 900_000);
    expect(await accountsIn(one.look(tried({ address })))).toMatchObject({ network: 0 });
  });

  it('leave nothing that tells a name, an address or a password', async () => {
    const secret = tried({ password: 'correct horse battery staple' });
    await one.failed(secret);
    const rows = await ground.prisma.loginPattern.findMany();
    const lengths = new Set(rows.map(({ patternDigest }) => patternDigest.length));
    expect(lengths).toEqual(new Set([32, 3])); // of a password too little to test guesses by
    const stored = Buffer.concat(rows.flatMap((row) => [row.patternDigest, row.accountDigest]));
    for (const text of Object.values(secret) as string[]) expect(stored.includes(text)).toBe(false);
  });
});
