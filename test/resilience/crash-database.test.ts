import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { readPidFile } from '../../src/database/embedded-pid-file.ts';
import { startEmbeddedPostgres } from '../../src/database/embedded.ts';
import type { EmbeddedPostgres } from '../../src/database/embedded.ts';
import { crashFlows, expectTold } from '../support/crash-flows.ts';
import { crashClients, newWorld } from '../support/crash-world.ts';
import type { World } from '../support/crash-world.ts';
import { connectionStringOf } from '../support/database.ts';
import { printedSeed } from '../support/seed.ts';
import { startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { silentLogger } from '../support/silent-logger.ts';
import { stored } from '../support/stored.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import type { TemporaryDirectory } from '../support/temporary-directory.ts';

const kills = 20;

let directory: TemporaryDirectory;
/** A cluster of its own: the others' tests go on. */
let postgres: EmbeddedPostgres;
let server: AuthorizationServer;
let world: World;

const random = printedSeed('database crash');

beforeAll(async () => {
  directory = await temporaryDirectory();
  postgres = await startEmbeddedPostgres({ directory: directory.path, logger: silentLogger });
  const { connection } = postgres;
  const connectionString = connectionStringOf(connection);
  server = await startAuthorizationServer({
    clients: crashClients,
    environment: { DATABASE_URL: connectionString },
  });
  const { database } = server;
  world = await newWorld({ ...server, database: { ...database, connection, connectionString } });
});

afterAll(async () => {
  await server.stop();
  await postgres.stop();
  await directory.remove();
});

type Named = (typeof crashFlows)[number];

const plan = Array.from({ length: kills }, () => ({
  flow: random.pick(crashFlows as [Named, ...Named[]]),
  moment: random.next(),
}));

/** Ends the database server as a power cut would: no session is told, nothing is written out. */
function killPostgres(): number {
  const running = readPidFile(path.join(directory.path, 'data'));
  if (running === undefined) throw new Error('no database server is running');
  process.kill(running.pid, 'SIGKILL');
  return running.pid;
}

/** Another database server has taken over and lets sessions in, and ours has noticed. */
async function expectBack(killed: number): Promise<void> {
  await vi.waitFor(
    async () => {
      const running = readPidFile(path.join(directory.path, 'data'));
      expect([undefined, killed]).not.toContain(running?.pid);
      await stored(world.steady, 'SELECT 1');
      const readiness = await fetch(`${server.operationsOrigin}/readyz`);
      expect(readiness.status).toBe(200);
    },
    { timeout: 20_000, interval: 25 },
  );
}

describe('A database that is killed', () => {
  it(
    `${String(kills)} times in the middle of things comes back by itself, and every promise is kept`,
    { timeout: 180_000 },
    async () => {
      const spans = new Map<string, number>();
      for (const [number, { flow, moment }] of plan.entries()) {
        const [name, prepare] = flow;
        const step = await prepare(world);
        const begun = performance.now();
        const acting = step.act(world.steady).then((outcome) => {
          spans.set(name, (performance.now() - begun) * 1.2);
          return outcome;
        });
        await wait(moment * Math.min(spans.get(name) ?? 30, 200));
        const killed = killPostgres();
        const outcome = await acting;
        await expectBack(killed);
        await step.verify(outcome, world.steady).catch((cause: unknown) => {
          throw new Error(`kill ${String(number)}, ${name}`, { cause });
        });
      }
      await expectTold(world, world.steady);
    },
  );
});
