import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AuditEntry } from '../../src/audit/events.ts';
import { createClientStore } from '../../src/clients/client-store.ts';
import { parseStaticConfiguration } from '../../src/config/static-file.ts';
import { noChanges } from '../../src/database/changes.ts';
import { createResourceServerStore } from '../../src/resource-servers/resource-server-store.ts';
import { applyStaticConfiguration } from '../../src/startup/static-configuration.ts';
import { storeGround } from '../support/store.ts';
import type { StoreGround } from '../support/store.ts';

const api = 'https://api.example.com';

let ground: StoreGround;

beforeAll(async () => {
  ground = await storeGround();
});

afterAll(() => ground.close());

function newStores() {
  const recorded: AuditEntry[] = [];
  const dependencies = { ...ground, changes: noChanges };
  return {
    recorded,
    clients: createClientStore(dependencies),
    resourceServers: createResourceServerStore(dependencies),
    accessTokenTtlSeconds: 600,
    audit: {
      recordDurably(entry: AuditEntry) {
        recorded.push(entry);
        return Promise.resolve();
      },
    },
  };
}

function declaration(names: { clients?: string[]; apis?: string[] }) {
  const value = {
    resourceServers: (names.apis ?? []).map((identifier) => ({
      identifier,
      name: 'API',
      scopes: { read: { en: 'Read' } },
    })),
    clients: (names.clients ?? []).map((id) => ({
      metadata: { client_id: id, grant_types: [], token_endpoint_auth_method: 'none' },
    })),
  };
  return parseStaticConfiguration(value, 'test');
}

describe('The static file', () => {
  it('is refused where it declares what an operator created, and changes nothing', async () => {
    const stores = newStores();
    await stores.resourceServers.insert({
      identifier: api,
      name: 'By hand',
      accessTokenFormat: 'jwt',
      accessTokenTtlSeconds: 600,
      signingAlgorithm: 'RS256',
      introspectionClientId: undefined,
      source: 'operator',
      scopes: {},
    });
    const declared = declaration({ clients: ['by-file'], apis: [api] });
    await expect(applyStaticConfiguration(declared, stores)).rejects.toMatchObject({
      code: 'configuration_invalid',
      detail: expect.stringContaining(api) as unknown,
    });
    expect(await stores.resourceServers.find(api)).toMatchObject({ name: 'By hand' });
    expect(await stores.clients.find('by-file')).toBeUndefined();
    expect(stores.recorded).toEqual([]);
  });

  it('takes back what it declared before, and each thing is recorded', async () => {
    const stores = newStores();
    const other = 'https://other.example.com';
    await applyStaticConfiguration(declaration({ clients: ['gone'], apis: [other] }), stores);
    stores.recorded.length = 0;
    await applyStaticConfiguration(declaration({}), stores);
    expect(await stores.clients.find('gone')).toBeUndefined();
    expect(await stores.resourceServers.find(other)).toBeUndefined();
    expect(stores.recorded.map(({ type }) => type)).toEqual([
      'client.deleted',
      'resource_server.deleted',
      'configuration.applied',
    ]);
  });
});
