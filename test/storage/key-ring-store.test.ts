import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createEnvelopeEncryption } from '../../src/security/envelope.ts';
import { generateKey } from '../../src/signing-keys/key-material.ts';
import type { KeyMaterial } from '../../src/signing-keys/key-material.ts';
import { createKeyRingStore } from '../../src/signing-keys/key-ring-store.ts';
import type { KeyRingStore } from '../../src/signing-keys/key-ring-store.ts';
import { createProcessStore } from '../../src/signing-keys/process-store.ts';
import { atOnce, storeGround, values } from '../support/store.ts';
import type { StoreGround } from '../support/store.ts';

const now = new Date('2026-01-01T00:00:00Z');
const times = { now, destroyAt: new Date('2026-01-01T01:00:00Z') };

let ground: StoreGround;
let masterKey: Buffer;
let store: KeyRingStore;
let other: KeyRingStore;

beforeEach(async () => {
  ground = await storeGround();
  masterKey = randomBytes(32);
  store = storeWith(masterKey);
  other = storeWith(masterKey, ground.other);
});

afterEach(() => ground.close());

function storeWith(key: Buffer | readonly Buffer[], prisma = ground.prisma): KeyRingStore {
  const envelope = createEnvelopeEncryption(Buffer.isBuffer(key) ? [key] : key);
  return createKeyRingStore({ prisma, envelope });
}

async function announced(origin: 'operator' | 'schedule' = 'operator'): Promise<KeyMaterial> {
  const key = await generateKey('ES256');
  expect(await store.announce({ ...key, origin, createdAt: now })).toBe(true);
  return key;
}

async function stages(): Promise<Record<string, string>> {
  return Object.fromEntries((await store.list()).map(({ kid, stage }) => [kid, stage]));
}

describe('A stored signing key', () => {
  it('is opened as it was sealed, and nothing of it lies in the database in clear', async () => {
    const key = await announced();
    expect(await other.open()).toMatchObject([{ kid: key.kid, privateJwk: key.privateJwk }]);
    const dump = JSON.stringify(
      await ground.prisma.$queryRaw`SELECT signing_keys::text FROM signing_keys`,
    );
    expect(dump).toContain(key.kid);
    const secret = Buffer.from(key.privateJwk.d, 'base64url');
    for (const clear of [key.privateJwk.d, secret.toString('hex'), secret.toString('base64')]) {
      expect(dump).not.toContain(clear);
    }
  });

  it('stays closed to another master key, which is told by its fingerprint', async () => {
    const key = await announced();
    const wrong = randomBytes(32);
    const [opened] = await storeWith(wrong).open();
    const [right] = createEnvelopeEncryption([masterKey]).masterKeyIds;
    const [found] = createEnvelopeEncryption([wrong]).masterKeyIds;
    expect(opened?.privateJwk).toBeUndefined();
    expect(opened?.fault).toBe(
      `${key.kid} is sealed under the master key ${String(right)}, and COUNTERSIGN_MASTER_KEYS has only ${String(found)}`,
    );
  });

  it.each([
    ['a flipped bit', `sealed_key = set_byte(sealed_key, 40, get_byte(sealed_key, 40) # 1)`],
    [
      'a flipped bit of its data key',
      `wrapped_data_key = set_byte(wrapped_data_key, 40, get_byte(wrapped_data_key, 40) # 1)`,
    ],
    ['another kid', `kid = 'moved'`],
    ['another algorithm', `algorithm = 'RS256'`],
    ['another public key', `public_jwk = jsonb_set(public_jwk, '{x}', '"AAAA"')`],
  ])('is not opened with %s, while the others are', async (_name, change) => {
    const intact = await generateKey('EdDSA');
    await store.announce({ ...intact, origin: 'operator', createdAt: now });
    const { kid } = await announced();
    await ground.prisma.$executeRawUnsafe(`UPDATE signing_keys SET ${change} WHERE kid = '${kid}'`);
    const opened = await store.open();
    expect(opened.find((key) => key.kid === intact.kid)?.fault).toBeUndefined();
    const damaged = opened.find((key) => key.kid !== intact.kid);
    expect(damaged?.privateJwk).toBeUndefined();
    expect(damaged?.fault).toMatch(/the row was changed/);
  });

  it('is lost with the row of another key', async () => {
    const first = await announced();
    await store.promote(first.kid, times);
    const second = await announced();
    await ground.prisma.$executeRaw`UPDATE signing_keys AS a
      SET sealed_key = b.sealed_key, wrapped_data_key = b.wrapped_data_key FROM signing_keys AS b
      WHERE a.kid = ${first.kid} AND b.kid = ${second.kid}`;
    const opened = await store.open();
    expect(opened.find(({ kid }) => kid === first.kid)?.fault).toMatch(/the row was changed/);
  });
});

describe('A new master key', () => {
  it('takes over row by row, and goes on where it stopped', async () => {
    const first = await announced();
    const second = await generateKey('EdDSA');
    await store.announce({ ...second, origin: 'operator', createdAt: now });
    const newKey = randomBytes(32);
    const both = storeWith([newKey, masterKey]);
    // Interrupted after one of the two rows.
    const one = await ground.prisma.signingKey.findUniqueOrThrow({ where: { kid: first.kid } });
    expect((await both.rewrap()).sort()).toEqual([first.kid, second.kid].sort());
    await ground.prisma.signingKey.update({
      where: { kid: first.kid },
      data: { wrappedDataKey: one.wrappedDataKey },
    });
    expect(await both.open()).toHaveLength(2);
    expect(await both.rewrap()).toEqual([first.kid]);
    expect(await both.rewrap()).toEqual([]);
    const opened = await storeWith(newKey).open();
    expect(opened.map(({ privateJwk }) => privateJwk?.d).sort()).toEqual(
      [first.privateJwk.d, second.privateJwk.d].sort(),
    );
    const stale = await store.open();
    expect(stale.every(({ fault }) => fault?.includes('is sealed under the master key'))).toBe(
      true,
    );
  });

  it('that is not the one in use wraps nothing', async () => {
    const key = await announced();
    await expect(storeWith(randomBytes(32)).rewrap()).rejects.toThrow(
      'sealed under the master key',
    );
    expect(await store.open()).toMatchObject([{ privateJwk: key.privateJwk }]);
  });
});

describe('A key', () => {
  it('goes through its stages, and leaves its private part behind when it retires', async () => {
    const { kid } = await announced();
    expect(await store.promote(kid, times)).toBe(true);
    const next = await announced();
    expect(await store.promote(next.kid, times)).toBe(true);
    expect(await stages()).toEqual({ [kid]: 'retired', [next.kid]: 'active' });
    const row = await ground.prisma.signingKey.findUniqueOrThrow({ where: { kid } });
    expect([row.sealedKey, row.wrappedDataKey]).toEqual([null, null]);
    expect(await store.destroy(kid, now)).toBe(false);
    expect(await store.destroy(kid, times.destroyAt)).toBe(true);
    expect(await store.open()).toHaveLength(1);
  });

  it('is announced once, whoever comes first', async () => {
    const results = await atOnce(8, [store, other], async (caller) =>
      caller.announce({ ...(await generateKey('ES256')), origin: 'schedule', createdAt: now }),
    );
    expect(values(results).filter((done) => done)).toHaveLength(1);
    expect(await store.list()).toHaveLength(1);
  });

  it('is never announced under a kid that was used before', async () => {
    const key = await announced();
    await store.revoke(key.kid, times, undefined);
    expect(await store.announce({ ...key, origin: 'operator', createdAt: now })).toBe(false);
    expect(await stages()).toEqual({ [key.kid]: 'revoked' });
  });

  it.each(['promote', 'retire', 'revoke'] as const)('is moved once by %s', async (move) => {
    const { kid } = await announced();
    const results = await atOnce(8, [store, other], (caller) =>
      move === 'revoke' ? caller.revoke(kid, times, undefined) : caller[move](kid, times),
    );
    expect(values(results).filter((done) => done)).toHaveLength(1);
  });

  it('that is revoked hands over to its successor in the same moment', async () => {
    const { kid } = await announced();
    await store.promote(kid, times);
    const next = await announced();
    expect(await store.revoke(kid, times, next.kid)).toBe(true);
    expect(await stages()).toEqual({ [kid]: 'revoked', [next.kid]: 'active' });
    expect(await store.promote(kid, times)).toBe(false);
  });
});

describe('A promotion', () => {
  const id = '00000000-0000-4000-8000-000000000001';
  const process = (published: string[]) => ({ id, host: 'replica', published });

  it('waits for a live process that does not publish the key', async () => {
    const processes = createProcessStore(ground.other);
    const { kid } = await announced();
    await processes.report(process([]));
    expect(await store.promote(kid, times)).toBe(false);
    expect(await processes.live()).toMatchObject([{ id, host: 'replica', published: [] }]);
    await processes.report(process([kid]));
    expect(await store.promote(kid, times)).toBe(true);
  });

  it.each([
    [
      'that has been silent for longer than it counts as alive',
      () =>
        ground.prisma
          .$executeRaw`UPDATE key_ring_processes SET seen_at = now() - interval '16 seconds'`,
    ],
    ['that has left', () => createProcessStore(ground.other).leave(id)],
  ])('does not wait for one %s', async (_name, end) => {
    const { kid } = await announced();
    await createProcessStore(ground.other).report(process([]));
    await end();
    expect(await store.promote(kid, times)).toBe(true);
    expect(await createProcessStore(ground.other).live()).toEqual([]);
  });
});
