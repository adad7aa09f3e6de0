import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { readPidFile } from '../../src/database/embedded-pid-file.ts';
import { startEmbeddedPostgres } from '../../src/database/embedded.ts';
import type { EmbeddedPostgres } from '../../src/database/embedded.ts';
import { lodgeAccess, startConsentServer, ukAccess } from '../support/consents.ts';
import type { ConsentServer } from '../support/consents.ts';
import { connectionStringOf } from '../support/database.ts';
import { addStreams, expectAllTold, untilTold } from '../support/event-promises.ts';
import { startEventReceiver } from '../support/event-receiver.ts';
import type { EventReceiver } from '../support/event-receiver.ts';
import { rows } from '../support/protocol.ts';
import { printedSeed } from '../support/seed.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { silentLogger } from '../support/silent-logger.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import type { TemporaryDirectory } from '../support/temporary-directory.ts';

const kills = 6;
const consentsAtOnce = 6;

let directory: TemporaryDirectory;
/** A cluster of its own: the others' tests go on. */
let postgres: EmbeddedPostgres;
let receiver: EventReceiver;
let world: ConsentServer;
let stored: Pick<AuthorizationServer, 'database'>;

const random = printedSeed('security events, database');

beforeAll(async () => {
  directory = await temporaryDirectory();
  postgres = await startEmbeddedPostgres({ directory: directory.path, logger: silentLogger });
  const { connection } = postgres;
  const connectionString = connectionStringOf(connection);
  receiver = await startEventReceiver();
  world = await startConsentServer({
    environment: {
      ...receiver.environment,
      DATABASE_URL: connectionString,
      COUNTERSIGN_EVENTS_TIMEOUT: '1000',
    },
  });
  stored = { database: { ...world.server.database, connection, connectionString } };
  await addStreams(world, receiver);
});

afterAll(async () => {
  await world.server.stop();
  await receiver.close();
  await postgres.stop();
  await directory.remove();
});

/** Ends the database server as a power cut would: no session is told, nothing is written out. */
function killPostgres(): number {
  const running = readPidFile(path.join(directory.path, 'data'));
  if (running === undefined) throw new Error('no database server is running');
  process.kill(running.pid, 'SIGKILL');
  return running.pid;
}

async function untilBack(killed: number): Promise<void> {
  await vi.waitFor(
    async () => {
      const running = readPidFile(path.join(directory.path, 'data'));
      expect([undefined, killed]).not.toContain(running?.pid);
      await rows(stored, 'SELECT 1');
      const readiness = await fetch(`${world.server.operationsOrigin}/readyz`);
      expect(readiness.status).toBe(200);
    },
    { timeout: 20_000, interval: 25 },
  );
}

/** What the history says was done; a request that met no database says nothing. */
async function change(): Promise<void> {
  const id = await lodgeAccess(world.tpp).catch(() => undefined);
  if (id === undefined) return;
  await world.tpp.call('DELETE', `${ukAccess}/${id}`, { scope: 'accounts' });
}

describe('A database that is killed while changes are told', () => {
  it(
    `${String(kills)} times loses no event, and none is told out of its order`,
    { timeout: 180_000 },
    async () => {
      await world.tpp.token('accounts');
      for (let kill = 0; kill < kills; kill += 1) {
        const changes = Array.from({ length: consentsAtOnce }, change);
        await changes[0]; // some are written, and on their way
        await wait(random.upTo(150));
        const killed = killPostgres();
        await Promise.all(changes);
        await untilBack(killed);
      }
      await Promise.all(Array.from({ length: consentsAtOnce }, change));
      await untilTold(stored);
      const { events, doubles } = await expectAllTold(stored, receiver);
      console.log(`security events: ${String(events)} told, ${String(doubles)} doubles`);
      expect(events).toBeGreaterThan(kills * 4);
    },
  );
});
