import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AuditEntry } from '../../src/audit/events.ts';
import { createClientStore } from '../../src/clients/client-store.ts';
import { parseStaticConfiguration } from '../../src/config/static-file.ts';
import { noChanges } from '../../src/database/changes.ts';
import { createResourceServerStore } from '../../src/resource-servers/resource-server-store.ts';
import { createEventStreamStore } from '../../src/security-events/stream-store.ts';
import { applyStaticConfiguration } from '../../src/startup/static-configuration.ts';
import { streamDraft } from '../support/events.ts';
import { storeGround } from '../support/store.ts';
import type { StoreGround } from '../support/store.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const api = 'https://api.example.com';

let ground: StoreGround;

beforeAll(async () => {
  ground = await storeGround();
});

afterAll(() => ground.close());

const none = { token_endpoint_auth_method: 'none' };

function newStores() {
  const recorded: AuditEntry[] = [];
  const dependencies = { ...ground, changes: noChanges };
  return {
    recorded,
    clients: createClientStore(dependencies),
    resourceServers: createResourceServerStore(dependencies),
    eventStreams: createEventStreamStore(ground),
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

  it('declares receivers of events, whose secrets are in files, and takes them back', async () => {
    const stores = newStores();
    const secrets = await temporaryDirectory();
    const authorizationFile = path.join(secrets.path, 'authorization');
    await writeFile(authorizationFile, 'Bearer from-a-file-0123456789\n');
    const client = { metadata: { client_id: 'told', grant_types: [], ...none } };
    const push = { delivery: 'push', endpoint: 'https://told.example.com/events' };
    const declare = (...eventStreams: Record<string, unknown>[]) =>
      parseStaticConfiguration({ clients: [client], eventStreams }, 'test');
    const stream = { id: 'told', client: 'told', ...push, authorizationFile };
    await applyStaticConfiguration(declare(stream), stores);
    await stores.eventStreams.setStatus('told', 'paused');
    await applyStaticConfiguration(declare(stream), stores);
    expect(await stores.eventStreams.list()).toMatchObject([
      { id: 'told', clientId: 'told', ...push, source: 'file', status: 'paused' },
    ]);

    const refused: [Record<string, unknown>[], string][] = [
      [[{ ...stream, endpoint: 'http://told.example.com' }], 'told: push needs an https URL'],
      [[{ ...stream, authorizationFile: '/nowhere/to/be/found' }], "can't be read"],
      [[stream, stream], 'declared twice'],
    ];
    for (const [streams, detail] of refused) {
      await expect(applyStaticConfiguration(declare(...streams), stores)).rejects.toMatchObject({
        detail: expect.stringContaining(detail) as unknown,
      });
    }
    stores.recorded.length = 0;
    await applyStaticConfiguration(declare(), stores);
    expect(await stores.eventStreams.list()).toEqual([]);
    expect(stores.recorded.map(({ type }) => type)).toEqual([
      ...['event_stream.deleted', 'configuration.applied'],
    ]);
    const byHand = { ...streamDraft({ id: 'told', clientId: 'told' }) };
    await stores.eventStreams.insert(byHand);
    await expect(applyStaticConfiguration(declare(stream), stores)).rejects.toMatchObject({
      code: 'configuration_invalid',
      detail: expect.stringContaining('told') as unknown,
    });
    await secrets.remove();
  });
});
