import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ApiKey } from '../../src/api-keys/api-key.ts';
import { draft, inSeconds, keyGround } from '../support/api-key-ground.ts';
import type { KeyGround } from '../support/api-key-ground.ts';
import { atOnce, values } from '../support/store.ts';

let ground: KeyGround;
let stores: KeyGround['stores'];

beforeAll(async () => {
  ground = await keyGround();
  ({ stores } = ground);
});

afterAll(() => ground.close());

const newClient = () => ground.newClient();
const make = (clientId: string) => ground.make(clientId);

const successor = () => ({
  expiresAt: inSeconds(7200),
  overlapEnd: inSeconds(60),
  permissions: { api: ['read'] },
});

describe('The store of keys', () => {
  it('keeps all but the key itself', async () => {
    const clientId = await newClient();
    const { key, secret } = await make(clientId);
    const found = await stores[1].find(key.id, clientId);
    expect(found).toEqual({ ...key, lastUsedAt: undefined });
    expect(found).toMatchObject({
      ...{ addresses: ['192.0.2.0/24'], limit: { requests: 5, seconds: 60 } },
      createdBy: `client ${clientId}`,
    });
    expect(await stores[1].find(key.id, 'somebody else')).toBeUndefined();
    const [row] = await ground.prisma.$queryRaw<{ text: string }[]>`
      SELECT k::text AS text FROM api_keys k WHERE id = ${key.id}`;
    expect(row?.text).toContain(key.prefix);
    expect(row?.text).not.toContain(secret.slice(14));
  });

  it('makes one key of fifty requests with one idempotency key', async () => {
    const clientId = await newClient();
    const made = values(
      await atOnce(50, stores, (store) => store.insert(draft(clientId, { key: 'once' }))),
    );
    expect(made).toHaveLength(50);
    expect(new Set(made.map(({ key }) => key.id)).size).toBe(1);
    expect(made.filter(({ secret }) => secret !== undefined)).toHaveLength(1);
    const other = stores[0].insert(draft(clientId, { key: 'once', name: 'another' }));
    await expect(other).rejects.toMatchObject({ code: 'idempotency_mismatch' });
    const elsewhere = await newClient();
    const foreign = await stores[0].insert(draft(elsewhere, { key: 'once' }));
    expect(foreign.secret).toBeDefined();
  });

  it('lets parallel requests not pass a client’s limit together', async () => {
    const clientId = await newClient();
    const results = await atOnce(30, stores, (store) =>
      store.insert(draft(clientId, { maxActive: 4 })),
    );
    expect(values(results)).toHaveLength(4);
    const [refused] = results.filter(({ status }) => status === 'rejected');
    expect(refused).toMatchObject({ reason: { code: 'api_key_limit' } });
    const [first] = values(results);
    await stores[0].revoke(first?.key.id ?? '', { name: 'operator x', clientId: undefined });
    await stores[0].insert(draft(clientId, { maxActive: 4 }));
  });

  it('makes one successor of fifty rotations, and none of a key that has ended', async () => {
    const clientId = await newClient();
    const { key } = await make(clientId);
    const by = { name: `client ${clientId}`, clientId };
    const rotated = values(
      await atOnce(50, stores, (store) => store.rotate(key.id, successor(), by)),
    );
    expect(rotated).toHaveLength(1);
    const old = await stores[1].find(key.id);
    expect(old?.successorId).toBe(rotated[0]?.key.id);
    expect(old?.expiresAt.getTime()).toBeLessThan(inSeconds(61).getTime());
    expect(rotated[0]?.key).toMatchObject({ name: key.name, limit: key.limit, owner: key.owner });
    const next = rotated[0]?.key.id ?? '';
    const foreign = stores[0].rotate(next, successor(), { name: 'client x', clientId: 'x' });
    await expect(foreign).rejects.toMatchObject({ code: 'api_key_not_found' });
    const first = await stores[0].revoke(next, by);
    const second = await stores[1].revoke(next, by);
    expect([first.isNew, second.isNew]).toEqual([true, false]);
    expect(second.key.revokedAt).toEqual(first.key.revokedAt);
    const late = stores[0].rotate(next, successor(), by);
    await expect(late).rejects.toMatchObject({ code: 'api_key_state' });
  });

  it('leaves one active key behind a key, however often it is rotated', async () => {
    const clientId = await newClient();
    const by = { name: `client ${clientId}`, clientId };
    const first = (await make(clientId)).key.id;
    const rotate = async (id: string, overlapSeconds: number) => {
      const overlapEnd = inSeconds(overlapSeconds);
      return (await stores[0].rotate(id, { ...successor(), overlapEnd }, by)).key.id;
    };
    const second = await rotate(first, 60);
    await expect(rotate(second, 60)).rejects.toMatchObject({ code: 'api_key_state' });
    const third = await rotate(second, -1);
    // The second has ended, the first has not.
    await expect(rotate(third, 60)).rejects.toMatchObject({ code: 'api_key_state' });
    const owner = { type: 'client', id: clientId } as const;
    const listed = await stores[1].list({ owner, after: undefined, limit: 10 });
    const active = listed.filter(({ revokedAt }) => revokedAt === undefined);
    expect(active.map(({ id }) => id)).toEqual([third, first]);
    await stores[1].revoke(first, by);
    await rotate(third, 60);
  });

  it('leaves no key of a client that is deleted while its keys are rotated', async () => {
    for (let i = 0; i < 10; i += 1) {
      const clientId = await newClient();
      const made = [await make(clientId), await make(clientId), await make(clientId)];
      const by = { name: `client ${clientId}`, clientId };
      await Promise.allSettled([
        ...made.map(({ key }, at) => stores[at % 2 === 0 ? 0 : 1].rotate(key.id, successor(), by)),
        ground.prisma.client.delete({ where: { id: clientId } }),
        stores[1].insert(draft(clientId)),
      ]);
      expect(await ground.prisma.apiKey.count({ where: { clientId } })).toBe(0);
    }
  });

  it('lists page by page, the newest first', async () => {
    const clientId = await newClient();
    const ids: string[] = [];
    for (let i = 0; i < 5; i += 1) ids.unshift((await make(clientId)).key.id);
    const owner = { type: 'client', id: clientId } as const;
    const first = await stores[0].list({ owner, after: undefined, limit: 3 });
    const rest = await stores[0].list({ owner, after: first.at(-1)?.id, limit: 3 });
    expect(new Set([...first, ...rest].map(({ id }) => id))).toEqual(new Set(ids));
    expect(first).toHaveLength(3);
    const operators = await stores[0].list({
      ...{ owner: { type: 'operator' }, after: undefined, limit: 1000 },
    });
    expect(operators.filter(({ id }) => ids.includes(id))).toEqual([]);
  });

  it('gives each key that ends soon to one process, once', async () => {
    const clientId = await newClient();
    const made = [await make(clientId), await make(clientId), await make(clientId)];
    const gone = made[2]?.key.id ?? '';
    await stores[0].revoke(gone, { name: 'operator x', clientId: undefined });
    const mineOf = (keys: readonly ApiKey[]) =>
      keys.filter(({ owner }) => owner.type === 'client' && owner.id === clientId);
    expect(mineOf(await stores[0].takeEnding(60, 1000))).toEqual([]);
    const taken = values(await atOnce(10, stores, (store) => store.takeEnding(7200, 1000))).flat();
    const mine = mineOf(taken);
    expect(mineOf(await stores[1].takeEnding(7200, 1000))).toEqual([]);
    expect(mine.map(({ id }) => id).sort()).toEqual(
      made
        .slice(0, 2)
        .map(({ key }) => key.id)
        .sort(),
    );
  });
});
