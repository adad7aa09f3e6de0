import { parseClientMetadata } from '../../src/clients/client-metadata.ts';
import { createClientStore } from '../../src/clients/client-store.ts';
import type { ClientStore } from '../../src/clients/client-store.ts';
import type { Clock } from '../../src/clock.ts';
import { createEndOfConsents } from '../../src/consents/consents-of-client-store.ts';
import { noChanges } from '../../src/database/changes.ts';
import type { ResourceServer } from '../../src/resource-servers/resource-server.ts';
import { createResourceServerStore } from '../../src/resource-servers/resource-server-store.ts';
import { createOutbox } from '../../src/security-events/outbox-store.ts';
import type { ClaimedEvent, Outbox } from '../../src/security-events/outbox-store.ts';
import type { StreamDraft } from '../../src/security-events/security-event.ts';
import { createEventStreamStore } from '../../src/security-events/stream-store.ts';
import type { EventStreamStore } from '../../src/security-events/stream-store.ts';
import type { StoreGround } from './store.ts';

/** A stream that is in order, apart from what is said. */
export function streamDraft(draft: Partial<StreamDraft> & { id: string }): StreamDraft {
  const isPoll = draft.delivery === 'poll';
  return {
    ...{ clientId: undefined, resourceServer: undefined, delivery: 'push' as const },
    endpoint: isPoll ? undefined : 'https://receiver.example.com/events',
    ...{ algorithm: 'RS256' as const, source: 'operator' as const, authorization: undefined },
    ...draft,
  };
}

/** Stores for receivers and what they are told, as two processes have them. */
export interface EventGround {
  streams: EventStreamStore;
  clients: ClientStore;
  outbox: Outbox;
  elsewhere: Outbox;
  addClient(id: string): Promise<void>;
  addResourceServer(identifier: string, scopes: readonly string[]): Promise<ResourceServer>;
  /** What `of` is given to push, with the lease that is long enough for a test. */
  claim(of?: Outbox): Promise<ClaimedEvent[]>;
}

/** Receivers and their outbox over `ground`, where consents end by `clock`. */
export function eventGround(ground: StoreGround, clock: Clock): EventGround {
  const outbox = createOutbox(ground);
  const endConsents = createEndOfConsents(clock);
  const clients = createClientStore({ ...ground, endConsents, changes: noChanges });
  const resourceServers = createResourceServerStore({ ...ground, changes: noChanges });
  return {
    streams: createEventStreamStore(ground),
    clients,
    outbox,
    elsewhere: createOutbox({ ...ground, sql: ground.otherSql }),
    async addClient(id) {
      const metadata = parseClientMetadata({ client_id: id, redirect_uris: ['https://a.test/cb'] });
      await clients.insert({ source: 'operator', permissions: {}, metadata });
    },
    async addResourceServer(identifier, scopes) {
      const resourceServer: ResourceServer = {
        ...{ identifier, name: 'API', accessTokenFormat: 'jwt', accessTokenTtlSeconds: 600 },
        ...{ signingAlgorithm: 'RS256', introspectionClientId: undefined, source: 'operator' },
        scopes: Object.fromEntries(scopes.map((scope) => [scope, {}])),
      };
      await resourceServers.insert(resourceServer);
      return resourceServer;
    },
    claim: (of = outbox) => of.claim({ busy: [], perStream: 1000, limit: 1000, leaseMs: 60_000 }),
  };
}
