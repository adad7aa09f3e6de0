import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createClientStore } from '../../src/clients/client-store.ts';
import type { ClientDraft } from '../../src/clients/client-rows-store.ts';
import type { ClientStore } from '../../src/clients/client-store.ts';
import type { ChangeSource } from '../../src/database/changes.ts';
import { noChanges } from '../../src/database/changes.ts';
import { createResourceServerStore } from '../../src/resource-servers/resource-server-store.ts';
import { checkResourceServer } from '../../src/resource-servers/resource-server.ts';
import type { ResourceServer } from '../../src/resource-servers/resource-server.ts';
import { atOnce, storeGround, values } from '../support/store.ts';
import type { StoreGround } from '../support/store.ts';

let ground: StoreGround;
let clients: ClientStore;
const api = 'https://api.test';
const newId = () => `client-${randomUUID().slice(0, 13)}`;
const newSecret = () => randomBytes(32).toString('base64url');

/** An API that introspects as nobody. */
function resourceServer(identifier: string): ResourceServer {
  return checkResourceServer({
    identifier,
    name: 'API',
    accessTokenFormat: 'jwt',
    accessTokenTtlSeconds: 600,
    signingAlgorithm: 'RS256',
    introspectionClientId: undefined,
    source: 'operator',
    scopes: { accounts: { en: 'See' }, payments: { en: 'Pay' } },
  });
}

beforeAll(async () => {
  ground = await storeGround();
  clients = createClientStore({ ...ground, changes: noChanges });
  await createResourceServerStore({ ...ground, changes: noChanges }).save(resourceServer(api));
});

afterAll(() => ground.close());

function draft(id: string, more: Partial<ClientDraft> = {}): ClientDraft {
  return {
    source: 'operator',
    permissions: { [api]: ['accounts'] },
    metadata: {
      client_id: id,
      client_name: 'A name',
      redirect_uris: ['https://a.test/callback'],
      grant_types: ['authorization_code'],
      response_types: ['code'],
      token_endpoint_auth_method: 'client_secret_basic',
    },
    ...more,
  };
}

describe('A client', () => {
  it('is found as it was', async () => {
    const [id, secret] = [newId(), newSecret()];
    const { metadata, permissions } = draft(id);
    const expected = {
      id,
      name: 'A name',
      metadata,
      permissions,
      status: 'active',
      source: 'operator',
      hasSecret: true,
    };
    expect(await clients.insert(draft(id, { secret }))).toEqual(expected);
    expect(await clients.find(id)).toEqual(expected);
    expect(await clients.list()).toContainEqual(expected);
    expect(await clients.metadataOf(id)).toEqual(metadata);
    expect(await clients.permissionsOf(id)).toEqual(permissions);
  });

  it('can’t be inserted twice, also not at once', async () => {
    const id = newId();
    const results = await atOnce(10, [clients], (store) => store.insert(draft(id)));
    expect(values(results)).toHaveLength(1);
    for (const result of results.filter(({ status }) => status === 'rejected')) {
      expect(result).toMatchObject({ reason: { code: 'client_exists' } });
    }
  });

  it('may have no permission at a resource server that does not exist, and is not stored then', async () => {
    const id = newId();
    const permissions = { 'https://nowhere.test': ['x'] };
    for (const write of ['insert', 'save'] as const) {
      await expect(clients[write](draft(id, { permissions }))).rejects.toMatchObject({
        code: 'resource_server_not_found',
      });
    }
    expect(await clients.find(id)).toBeUndefined();
  });

  it('keeps its secret when it is saved without one', async () => {
    const [id, secret] = [newId(), newSecret()];
    await clients.save(draft(id, { secret }));
    await clients.save(draft(id, { permissions: {} }));
    expect(await clients.verifySecret(id, secret)).toBe(true);
    expect(await clients.permissionsOf(id)).toEqual({});
  });
});

describe('A secret', () => {
  it('is the client’s only, and only while it is active', async () => {
    const [id, secret] = [newId(), newSecret()];
    await clients.insert(draft(id, { secret }));
    const [bare, unknown] = [newId(), newId()];
    await clients.insert(draft(bare));
    expect(await clients.verifySecret(id, secret)).toBe(true);
    for (const [who, what] of [
      [id, `${secret}x`],
      [id, ''],
      [bare, secret],
      [bare, ''],
      [unknown, secret],
    ] as const) {
      expect(await clients.verifySecret(who, what)).toBe(false);
    }
    await clients.setStatus(id, 'suspended');
    expect(await clients.verifySecret(id, secret)).toBe(false);
    expect(await clients.metadataOf(id)).toBeUndefined();
    expect(await clients.permissionsOf(id)).toEqual({});
    expect(await clients.find(id)).toMatchObject({ status: 'suspended' });
  });

  it('can’t be given to a client that authenticates otherwise', async () => {
    const id = newId();
    const { metadata } = draft(id);
    await clients.insert(
      draft(id, { metadata: { ...metadata, token_endpoint_auth_method: 'none' } }),
    );
    await expect(clients.setSecret(id, newSecret())).rejects.toMatchObject({
      code: 'client_invalid',
    });
  });
});

describe('A client that is not there', () => {
  it.each([
    ['setStatus', (id: string) => clients.setStatus(id, 'suspended')],
    ['setSecret', (id: string) => clients.setSecret(id, newSecret())],
    ['delete', (id: string) => clients.delete(id)],
  ] as const)('can’t be changed: %s', async (_name, change) => {
    const id = newId();
    expect(await clients.find(id)).toBeUndefined();
    await expect(change(id)).rejects.toMatchObject({ code: 'client_not_found' });
  });

  it('is found as soon as it is there', async () => {
    const id = newId();
    expect(await clients.find(id)).toBeUndefined();
    await clients.insert(draft(id));
    expect(await clients.find(id)).toBeDefined();
  });

  it('leaves nothing behind when it was deleted', async () => {
    const id = newId();
    await clients.insert(draft(id));
    const digest = new Uint8Array(randomBytes(32));
    await ground.prisma.artifact.create({
      data: { kind: 'RefreshToken', idDigest: digest, payload: digest, clientId: id },
    });
    await clients.delete(id);
    expect(await clients.find(id)).toBeUndefined();
    expect(await ground.prisma.artifact.count({ where: { clientId: id } })).toBe(0);
    expect(await ground.prisma.clientPermission.count({ where: { clientId: id } })).toBe(0);
  });
});

/** A source whose changes the test makes heard itself. */
function manualChanges(): ChangeSource & { hear(key: string | undefined): void } {
  const subscribers: ((key: string | undefined) => void)[] = [];
  return {
    subscribe: (_topic, forget) => subscribers.push(forget),
    isLive: () => true,
    hear(key) {
      for (const forget of subscribers) forget(key);
    },
  };
}

describe('What is remembered', () => {
  it('is asked for once by many at a time, and forgotten when a change is heard', async () => {
    const id = newId();
    await clients.insert(draft(id));
    const changes = manualChanges();
    let reads = 0;
    const counting = ground.other.$extends({
      query: {
        client: {
          findUnique({ args, query }) {
            reads += 1;
            return query(args);
          },
        },
      },
    }) as unknown as StoreGround['prisma'];
    const elsewhere = createClientStore({ ...ground, prisma: counting, changes });
    await Promise.all(Array.from({ length: 20 }, () => elsewhere.find(id)));
    expect(reads).toBe(1);
    await clients.setStatus(id, 'suspended');
    expect(await elsewhere.find(id)).toMatchObject({ status: 'active' });
    changes.hear(id);
    expect(await elsewhere.find(id)).toMatchObject({ status: 'suspended' });
    expect(reads).toBe(2);
  });

  it.each([true, false])(
    'does not fail who is asking while a change is heard: by key %s',
    async (byKey) => {
      const id = newId();
      await clients.insert(draft(id));
      const changes = manualChanges();
      const elsewhere = createClientStore({ ...ground, prisma: ground.other, changes });
      const asking = elsewhere.find(id);
      changes.hear(byKey ? id : undefined);
      expect(await asking).toMatchObject({ id });
      const servers = createResourceServerStore({ ...ground, prisma: ground.other, changes });
      const listing = servers.find(api);
      changes.hear(undefined);
      expect(await listing).toMatchObject({ identifier: api });
    },
  );
});

describe('A resource server', () => {
  const store = () => createResourceServerStore({ ...ground, changes: noChanges });

  it('is found as it was, with the client that introspects for it, and replaced as a whole', async () => {
    const identifier = `https://${newId()}.test`;
    const introspectionClientId = newId();
    const full = { ...resourceServer(identifier), introspectionClientId };
    const servers = store();
    await servers.save(full);
    expect(await servers.find(identifier)).toEqual(full);
    expect(await servers.findByIntrospectionClient(introspectionClientId)).toEqual(full);
    const changed = { ...resourceServer(identifier), scopes: { other: { en: 'x' } } };
    await servers.save(changed);
    expect(await store().find(identifier)).toEqual(changed);
    expect(await servers.findByIntrospectionClient(introspectionClientId)).toBeUndefined();
  });

  it('may be declared by many processes that start at once, and so may its clients', async () => {
    const prismas = [ground.prisma, ground.other] as const;
    for (let round = 0; round < 5; round += 1) {
      const identifier = `https://${newId()}.test`;
      const servers = await atOnce(8, prismas, (prisma) =>
        createResourceServerStore({ prisma, changes: noChanges }).save(resourceServer(identifier)),
      );
      expect(values(servers)).toHaveLength(8);
      const declared = draft(newId(), { permissions: { [identifier]: ['accounts'] } });
      const saved = await atOnce(8, prismas, (prisma) =>
        createClientStore({ ...ground, prisma, changes: noChanges }).save(declared),
      );
      expect(values(saved)).toHaveLength(8);
    }
  });

  it('takes the permissions on it along', async () => {
    const identifier = `https://${newId()}.test`;
    const servers = store();
    await servers.save(resourceServer(identifier));
    const id = newId();
    await clients.insert(draft(id, { permissions: { [identifier]: ['accounts'] } }));
    expect(await servers.delete(identifier)).toBe(true);
    expect(await servers.delete(identifier)).toBe(false);
    const elsewhere = createClientStore({ ...ground, prisma: ground.other, changes: noChanges });
    expect(await elsewhere.permissionsOf(id)).toEqual({});
  });
});
