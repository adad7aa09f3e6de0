import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { consentEnvironment, startConsentServer } from '../support/consents.ts';
import type { ConsentServer } from '../support/consents.ts';
import { consentFlows, expectHistories, newConsentGround } from '../support/crash-consents.ts';
import type { ConsentFlow, ConsentGround } from '../support/crash-consents.ts';
import { printedSeed } from '../support/seed.ts';
import { serverProcesses } from '../support/server-process.ts';
import type { ServerProcesses } from '../support/server-process.ts';

const kills = 100;
/** Of each kind: lodgings, decisions and ends. */
const movesOfAKind = 2;

let world: ConsentServer;
let processes: ServerProcesses;
let ground: ConsentGround;

const random = printedSeed('crash of consents');

beforeAll(async () => {
  world = await startConsentServer();
  processes = await serverProcesses(world.server, consentEnvironment);
  ground = await newConsentGround(world);
});

afterAll(async () => {
  await processes.close();
  await world.server.stop();
});

/** What is in the middle when the process is killed. */
interface Kill {
  number: number;
  flows: readonly ConsentFlow[];
  moment: number;
}

const plan: Kill[] = Array.from({ length: kills }, (_, number) => ({
  number,
  flows: consentFlows.flatMap((flows) =>
    Array.from({ length: movesOfAKind }, () => random.pick(flows)),
  ),
  moment: random.next(),
}));

/** Milliseconds within which the kill falls: a little more than the moves of a new process took last. */
let spanMs = 200;

async function timed<T>(moving: Promise<T>): Promise<T> {
  const begun = performance.now();
  const moved = await moving;
  spanMs = (performance.now() - begun) * 1.2;
  return moved;
}

/** How many of the moves had no answer. */
async function killInTheMiddle({ number, flows, moment }: Kill): Promise<number> {
  const [victim, ...acts] = await Promise.all([
    processes.start(),
    ...flows.map((flow) => flow(ground)),
  ]);
  const acting = acts.map((one) => timed(one.act(victim.server)).catch(() => undefined));
  await wait(moment * spanMs);
  expect(await victim.kill()).toEqual({ code: null, signal: 'SIGKILL' });
  const statuses = await Promise.all(acting);
  for (const [at, one] of acts.entries()) {
    await one.verify(statuses[at]).catch((cause: unknown) => {
      throw new Error(`kill ${String(number)}, move ${String(at)}, ${String(statuses[at])}`, {
        cause,
      });
    });
  }
  return statuses.filter((status) => status === undefined).length;
}

describe('A server that is killed in the middle of moves of consents', () => {
  it(
    `${String(kills)} times loses none, doubles none, and leaves no impossible history`,
    { timeout: 600_000 },
    async () => {
      const remaining = [...plan];
      let broken = 0;
      async function lane(): Promise<void> {
        for (let kill = remaining.shift(); kill !== undefined; kill = remaining.shift()) {
          broken += await killInTheMiddle(kill);
        }
      }
      await Promise.all([lane(), lane()]);
      console.log(
        `crash: ${String(broken)} broken off, ${String(ground.doneUntold)} of them done untold`,
      );
      expect(broken).toBeGreaterThan(kills);
      await expectHistories(ground);
    },
  );
});
