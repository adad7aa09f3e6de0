import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bankApi, lodgeAccess, startConsentServer, ukAccess } from '../support/consents.ts';
import type { ConsentServer } from '../support/consents.ts';
import { addStreams, expectAllTold, untilTold } from '../support/event-promises.ts';
import { startEventReceiver } from '../support/event-receiver.ts';
import type { EventReceiver } from '../support/event-receiver.ts';
import { printedSeed } from '../support/seed.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { serverProcesses } from '../support/server-process.ts';
import type { ServerProcess, ServerProcesses } from '../support/server-process.ts';

const kills = 16;
const consentsAtOnce = 8;

let receiver: EventReceiver;
let world: ConsentServer;
let processes: ServerProcesses;

const random = printedSeed('security events');

beforeAll(async () => {
  receiver = await startEventReceiver();
  const environment = {
    ...receiver.environment,
    COUNTERSIGN_CONSENTS_RESOURCE: bankApi,
    COUNTERSIGN_DEFAULT_RESOURCE: bankApi,
    COUNTERSIGN_EVENTS_TIMEOUT: '1000',
    COUNTERSIGN_EVENTS_LONGEST_RETRY: '1',
  };
  world = await startConsentServer({ environment });
  processes = await serverProcesses(world.server, environment);
  await addStreams(world, receiver);
  // What is delivered is delivered by processes that are killed.
  await world.server.running.app.securityEvents.stop();
});

afterAll(async () => {
  await processes.close();
  await world.server.stop();
  await receiver.close();
});

/** Lodges and withdraws a consent at a process that may end in the middle of it. */
async function change(at: AuthorizationServer): Promise<void> {
  const { tpp } = world;
  try {
    const id = await lodgeAccess({
      ...tpp,
      call: (method, path, call) => tpp.call(method, path, { ...call, at }),
    });
    await tpp.call('DELETE', `${ukAccess}/${id}`, { scope: 'accounts', at });
  } catch {
    // The process is gone; the history says what was done.
  }
}

describe('Processes that are killed while they tell of changes', () => {
  it(
    `${String(kills)} times lose no event, and tell none out of its order`,
    { timeout: 300_000 },
    async () => {
      // A receiver that is not perfect either.
      receiver.answerBy(() => {
        const chance = random.next();
        if (chance < 0.02) return undefined;
        return chance < 0.1 ? { status: 503 } : { status: 202 };
      });
      await world.tpp.token('accounts');
      let victim = await processes.start();
      for (let kill = 0; kill < kills; kill += 1) {
        const other: ServerProcess = await processes.start();
        const changes = Array.from({ length: consentsAtOnce }, (_, i) =>
          change((i % 2 === 0 ? victim : other).server),
        );
        await wait(random.upTo(250));
        await victim.kill();
        await Promise.all(changes);
        victim = other;
      }
      receiver.answerBy(() => ({ status: 202 }));
      await untilTold(world.server);
      const { events, doubles } = await expectAllTold(world.server, receiver);
      console.log(`security events: ${String(events)} told, ${String(doubles)} doubles`);
      expect(events).toBeGreaterThanOrEqual(200);
      expect(await victim.stop()).toEqual({ code: 0, signal: null });
    },
  );
});
