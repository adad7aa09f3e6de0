import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { runWithRequest } from '../../src/observability/request-context.ts';
import { createArtifactStore } from '../../src/provider/storage/artifact-store.ts';
import type { ArtifactStore } from '../../src/provider/storage/artifact-store.ts';
import { createSingleUseStore } from '../../src/provider/storage/single-use-store.ts';
import { atOnce, storeGround, values } from '../support/store.ts';
import type { StoreGround } from '../support/store.ts';

let ground: StoreGround;
let stores: [ArtifactStore, ArtifactStore];
let replays: string[] = [];

beforeAll(async () => {
  ground = await storeGround();
  const { encryption } = ground;
  const store = (sql: StoreGround['sql']) =>
    createArtifactStore({
      sql,
      encryption,
      clock: systemClock,
      onReplay: (kind) => replays.push(kind),
      retries: { retrySeconds: 10, retryUnproven: false },
    });
  stores = [store(ground.sql), store(ground.otherSql)];
});

afterAll(() => ground.close());

const newId = (): string => randomUUID();

async function save(kind: string, payload: object = {}, id = newId()): Promise<string> {
  await stores[0].adapterFor(kind).upsert(id, { jti: id, kind, ...payload }, 60);
  return id;
}

describe('An artifact', () => {
  it('is found as it was, by another process too', async () => {
    const payload = { clientId: 'web', accountId: newId(), uid: newId(), scope: 'openid ß' };
    const id = await save('Session', payload);
    for (const store of stores) {
      expect(await store.adapterFor('Session').find(id)).toEqual({
        jti: id,
        kind: 'Session',
        ...payload,
      });
    }
    expect(await stores[1].adapterFor('Session').findByUid(payload.uid)).toMatchObject(payload);
    expect(await stores[1].adapterFor('Grant').find(id)).toBeUndefined();
    expect(await stores[1].adapterFor('Session').find(newId())).toBeUndefined();
  });

  it('shows neither its id nor what is in it to who reads the table', async () => {
    const secret = newId();
    const id = await save('RefreshToken', { grantId: newId(), nonce: secret });
    const row = JSON.stringify(await ground.prisma.$queryRaw`SELECT a::text FROM artifacts a`);
    for (const text of [id, secret]) {
      expect(row).not.toContain(text);
      expect(row).not.toContain(Buffer.from(text).toString('hex'));
    }
  });

  it('can’t be moved to another id', async () => {
    await ground.prisma.artifact.deleteMany({ where: { kind: 'DeviceCode' } });
    const [one, two] = [await save('DeviceCode'), await save('DeviceCode')];
    const rows = await ground.prisma.artifact.findMany({ where: { kind: 'DeviceCode' } });
    const [first, second] = rows;
    if (first === undefined || second === undefined) throw new Error('no rows');
    for (const [at, from] of [
      [first, second],
      [second, first],
    ] as const) {
      const where = { kind_idDigest: { kind: at.kind, idDigest: at.idDigest } };
      await ground.prisma.artifact.update({ where, data: { payload: from.payload } });
    }
    for (const id of [one, two]) {
      await expect(stores[0].adapterFor('DeviceCode').find(id)).rejects.toThrow();
    }
    await ground.prisma.artifact.deleteMany({ where: { kind: 'DeviceCode' } });
  });

  it('is gone when it was destroyed', async () => {
    const id = await save('Grant');
    const adapter = stores[0].adapterFor('Grant');
    await adapter.destroy(id);
    expect(await adapter.find(id)).toBeUndefined();
    await expect(adapter.destroy(id)).resolves.toBeUndefined();
  });

  it('that is written once can’t be overwritten', async () => {
    const id = await save('AuthorizationCode', { nonce: 'first' });
    await expect(save('AuthorizationCode', { nonce: 'second' }, id)).rejects.toThrow();
    expect(await stores[0].adapterFor('AuthorizationCode').find(id)).toMatchObject({
      nonce: 'first',
    });
  });
});

describe('A single use', () => {
  it('is one, of fifty at once on two processes; the family of the others’ grant ends', async () => {
    replays = [];
    const grantId = newId();
    const id = await save('AuthorizationCode', { grantId });
    await save('Grant', {}, grantId);
    const token = await save('RefreshToken', { grantId });
    const results = await atOnce(50, stores, (store) =>
      store.adapterFor('AuthorizationCode').consume(id),
    );
    expect(values(results)).toHaveLength(1);
    const refused = results.filter(({ status }) => status === 'rejected');
    for (const result of refused) {
      expect(result).toMatchObject({ reason: { error: 'invalid_grant' } });
    }
    expect(replays).toEqual(refused.map(() => 'AuthorizationCode'));
    expect(await stores[0].adapterFor('Grant').find(grantId)).toBeUndefined();
    expect(await stores[0].adapterFor('RefreshToken').find(token)).toBeUndefined();
  });

  it('is seen by who reads it later, and saving again does not undo it', async () => {
    const id = await save('DeviceCode');
    const adapter = stores[1].adapterFor('DeviceCode');
    expect(await adapter.find(id)).not.toHaveProperty('consumed');
    await adapter.consume(id);
    expect(await adapter.find(id)).toMatchObject({ consumed: expect.any(Number) as unknown });
    await save('DeviceCode', { again: true }, id);
    expect(await adapter.find(id)).toMatchObject({
      again: true,
      consumed: expect.any(Number) as unknown,
    });
    await expect(adapter.consume(id)).rejects.toMatchObject({ error: 'invalid_grant' });
  });

  it('of an interaction is one, of fifty at once', async () => {
    const id = await save('Interaction');
    const claims = values(await atOnce(50, stores, (store) => store.claimInteraction(id)));
    expect(claims.filter(Boolean)).toHaveLength(1);
    expect(claims).toHaveLength(50);
    expect(await stores[0].claimInteraction(newId())).toBe(false);
    const destroyed = await atOnce(10, stores, (store) =>
      store.adapterFor('Interaction').destroy(id),
    );
    expect(values(destroyed)).toHaveLength(1);
  });
});

describe('A grant that ends', () => {
  it('takes everything of it along, and nothing else', async () => {
    const [grantId, otherGrant] = [newId(), newId()];
    await save('Grant', {}, grantId);
    const mine = await save('AccessToken', { grantId });
    const another = await save('AccessToken', { grantId: otherGrant });
    await stores[0].destroyGrant(grantId);
    expect(await stores[1].adapterFor('Grant').find(grantId)).toBeUndefined();
    expect(await stores[1].adapterFor('AccessToken').find(mine)).toBeUndefined();
    expect(await stores[1].adapterFor('AccessToken').find(another)).toBeDefined();
  });

  it.each(['AccessToken', 'AuthorizationCode'])(
    'ends with everything of it at the first word of the engine, which names %s: a crash leaves no part',
    async (named) => {
      const grantId = newId();
      await save('Grant', {}, grantId);
      const access = await save('AccessToken', { grantId });
      const refresh = await save('RefreshToken', { grantId });
      await stores[0].adapterFor(named).revokeByGrantId(grantId);
      expect(await stores[1].adapterFor('Grant').find(grantId)).toBeUndefined();
      expect(await stores[1].adapterFor('AccessToken').find(access)).toBeUndefined();
      expect(await stores[1].adapterFor('RefreshToken').find(refresh)).toBeUndefined();
    },
  );

  it('ends with its refresh token, at once', async () => {
    const [grantId, otherGrant] = [newId(), newId()];
    await save('Grant', {}, grantId);
    const refresh = await save('RefreshToken', { grantId });
    const other = await save('RefreshToken', { grantId: otherGrant });
    await stores[0].adapterFor('RefreshToken').destroy(refresh);
    expect(await stores[1].adapterFor('Grant').find(grantId)).toBeUndefined();
    expect(await stores[1].adapterFor('RefreshToken').find(refresh)).toBeUndefined();
    expect(await stores[1].adapterFor('RefreshToken').find(other)).toBeDefined();
  });
});

describe('A request', () => {
  const context = () => ({
    requestId: newId(),
    address: '192.0.2.7',
    listener: 'public' as const,
    method: 'GET',
    path: '/',
  });

  it('reads a session once, and the next one sees what another process did meanwhile', async () => {
    const id = await save('Session', { nonce: 'first' });
    const find = () => stores[0].adapterFor('Session').find(id);
    await runWithRequest(context(), async () => {
      const before = await find();
      await stores[1].adapterFor('Session').destroy(id);
      const again = await find();
      expect([before, again]).toMatchObject([{ nonce: 'first' }, { nonce: 'first' }]);
      expect(again).not.toBe(before); // the engine writes into what it is given
    });
    expect(await runWithRequest(context(), find)).toBeUndefined();
  });

  it('that writes reads anew', async () => {
    const id = await save('Interaction', { nonce: 'first' });
    const adapter = stores[0].adapterFor('Interaction');
    await runWithRequest(context(), async () => {
      await adapter.find(id);
      await save('Interaction', { nonce: 'second' }, id);
      expect(await adapter.find(id)).toMatchObject({ nonce: 'second' });
      await stores[0].claimInteraction(id);
      expect(await adapter.find(id)).toHaveProperty('consumed');
    });
  });

  it('never remembers what is used once', async () => {
    const id = await save('AuthorizationCode');
    await runWithRequest(context(), async () => {
      const adapter = stores[0].adapterFor('AuthorizationCode');
      expect(await adapter.find(id)).not.toHaveProperty('consumed');
      await stores[1].adapterFor('AuthorizationCode').consume(id);
      expect(await adapter.find(id)).toHaveProperty('consumed');
    });
  });
});

describe('The grant of a JWT access token', () => {
  it('is found until it ends or the token is revoked, on whatever process', async () => {
    const grantId = newId();
    await save('Grant', { accountId: 'casey' }, grantId);
    const jti = newId();
    expect(await stores[0].findGrantOf({ grantId, jti })).toMatchObject({ accountId: 'casey' });
    await createSingleUseStore(ground.otherSql).revokeToken(jti, new Date('2100-01-01'));
    expect(await stores[0].findGrantOf({ grantId, jti })).toBeUndefined();
    expect(await stores[0].findGrantOf({ grantId, jti: newId() })).toBeDefined();
    await stores[1].destroyGrant(grantId);
    expect(await stores[0].findGrantOf({ grantId, jti: newId() })).toBeUndefined();
  });
});

describe('Identifiers that may be used once', () => {
  it('are new exactly once, of fifty at once on two processes', async () => {
    const once = [createSingleUseStore(ground.sql), createSingleUseStore(ground.otherSql)] as const;
    const use = { issuer: 'web', jti: newId(), expiresAt: new Date('2100-01-01') };
    const answers = values(await atOnce(50, [...once], (store) => store.firstUse(use)));
    expect(answers.filter(Boolean)).toHaveLength(1);
    expect(answers).toHaveLength(50);
  });

  it('differ by issuer and id, however they are cut', async () => {
    const store = createSingleUseStore(ground.sql);
    const expiresAt = new Date('2100-01-01');
    const uses = [
      ['a', 'bc'],
      ['ab', 'c'],
      ['abc', ''],
      ['', 'abc'],
      ['1:a', 'bc'],
    ] as const;
    for (const [issuer, jti] of uses) {
      expect(await store.firstUse({ issuer, jti, expiresAt })).toBe(true);
      expect(await store.firstUse({ issuer, jti, expiresAt })).toBe(false);
    }
  });

  it('of revoked tokens are known on every process, and may be revoked twice', async () => {
    const jti = newId();
    const [one, two] = [createSingleUseStore(ground.sql), createSingleUseStore(ground.otherSql)];
    expect(await two.isRevoked(jti)).toBe(false);
    await one.revokeToken(jti, new Date('2100-01-01'));
    await two.revokeToken(jti, new Date('2100-01-01'));
    expect([await one.isRevoked(jti), await two.isRevoked(jti)]).toEqual([true, true]);
    expect(await one.isRevoked(newId())).toBe(false);
  });
});
