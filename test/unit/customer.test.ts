import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { loadCommonPasswords } from '../../src/customers/common-passwords.ts';
import {
  checkNewPassword,
  checkUsername,
  claimsOf,
  normaliseUsername,
} from '../../src/customers/customer.ts';
import { createPasswordHasher } from '../../src/customers/password.ts';

const cost = { memoryKib: 64, passes: 1, parallelism: 1 };
const limits = { concurrency: 2, maxWaiting: 4 };

describe('A new password', () => {
  const check = async (password: string) => {
    const isCommon = await loadCommonPasswords();
    checkNewPassword(password, { username: 'Long.Username@bank.example', isCommon });
  };

  it.each([
    ['short-one', 'password_too_short'],
    ['x'.repeat(257), 'password_too_long'],
    ['Password1234!', 'password_too_common'],
    ['!!!!qwertyuiop2024', 'password_too_common'],
    ['LONG.username@bank.example', 'password_too_common'],
  ])('%s is refused: %s', async (password, code) => {
    await expect(check(password)).rejects.toMatchObject({ code });
  });

  it.each(['correct horse battery staple', 'ß😀'.repeat(32), 'x9$Kq'.repeat(50)])(
    'may be long and of any letters: %s',
    async (password) => {
      await expect(check(password)).resolves.toBeUndefined();
    },
  );

  it('is counted in characters, not in code units', async () => {
    await expect(check('😀'.repeat(11))).rejects.toMatchObject({ code: 'password_too_short' });
    await expect(check('😀'.repeat(12))).resolves.toBeUndefined();
  });
});

describe('A user name', () => {
  it('is the same in other letters, with spaces around and with composed accents', () => {
    expect(normaliseUsername(' CASEY ')).toBe('casey');
    expect(normaliseUsername('Jose\u0301')).toBe(normaliseUsername('JOS\u00c9'));
  });

  it('stays the same when it is normalised again', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (name) => {
        const once = normaliseUsername(name);
        expect(normaliseUsername(once)).toBe(once);
      }),
    );
  });

  it.each(['', '  ', 'a\0b', 'a\nb', 'x'.repeat(201)])('is refused: %j', (name) => {
    expect(() => {
      checkUsername(name);
    }).toThrow(expect.objectContaining({ code: 'customer_invalid' }) as Error);
  });
});

describe('Claims', () => {
  it('call the user name by its standard name', () => {
    const profile = { username: 'casey', name: 'Casey Miller', email: 'c@bank.example' };
    const changed = { passwordHash: '', passwordChangedAt: new Date(0), status: 'active' as const };
    expect(claimsOf({ id: 'id', profile, ...changed })).toEqual({
      sub: 'id',
      preferred_username: 'casey',
      name: 'Casey Miller',
      email: 'c@bank.example',
    });
  });
});

describe('Password hashing', () => {
  it('knows the password again in another Unicode form, and no other', async () => {
    const hasher = await createPasswordHasher(cost, limits);
    const hash = await hasher.hash('pass\u00e9word');
    expect(hash).toMatch(/^\$argon2id\$v=19\$/);
    expect(await hasher.hash('pass\u00e9word')).not.toBe(hash);
    expect(await hasher.verify('passe\u0301word', hash)).toEqual({
      matches: true,
      isOutdated: false,
    });
    expect((await hasher.verify('passeword', hash)).matches).toBe(false);
  });

  it('says when a hash was made at another cost', async () => {
    const hash = await (await createPasswordHasher(cost, limits)).hash('secret');
    const dearer = await createPasswordHasher({ ...cost, passes: 2 }, limits);
    expect(await dearer.verify('secret', hash)).toEqual({ matches: true, isOutdated: true });
    expect(await dearer.verify('wrong', hash)).toEqual({ matches: false, isOutdated: false });
  });

  it('does the same work for an unknown user, and matches nothing', async () => {
    let hashed = 0;
    const hasher = await createPasswordHasher(cost, limits, { onDuration: () => (hashed += 1) });
    expect(await hasher.verify('anything', undefined)).toEqual({
      matches: false,
      isOutdated: false,
    });
    expect(hashed).toBe(1);
  });

  it('is bounded: what does not fit into the queue is told to come back', async () => {
    const seen: number[] = [];
    const hasher = await createPasswordHasher(cost, limits, {
      onPending: (count) => seen.push(count),
    });
    const results = await Promise.allSettled(Array.from({ length: 20 }, () => hasher.hash('x')));
    const refused = results.filter(({ status }) => status === 'rejected');
    expect(refused.length).toBeGreaterThan(0);
    for (const result of refused) {
      expect(result).toMatchObject({ reason: { code: 'temporarily_unavailable' } });
    }
    expect(results.length - refused.length).toBeGreaterThanOrEqual(limits.maxWaiting);
    expect(Math.max(...seen)).toBeLessThanOrEqual(limits.concurrency + limits.maxWaiting);
    expect(hasher.pending()).toBe(0);
  });
});
