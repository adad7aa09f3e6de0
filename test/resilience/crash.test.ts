import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { crashFlows, expectTold } from '../support/crash-flows.ts';
import { crashClients, newWorld } from '../support/crash-world.ts';
import type { World } from '../support/crash-world.ts';
import { printedSeed } from '../support/seed.ts';
import { startAuthorizationServer } from '../support/server.ts';
import type { AuthorizationServer } from '../support/server.ts';
import { serverProcesses } from '../support/server-process.ts';
import type { ServerProcesses } from '../support/server-process.ts';

const kills = 200;

let steady: AuthorizationServer;
let processes: ServerProcesses;
let world: World;

const random = printedSeed('crash');

beforeAll(async () => {
  steady = await startAuthorizationServer({ clients: crashClients });
  processes = await serverProcesses(steady);
  world = await newWorld(steady);
});

afterAll(async () => {
  await processes.close();
  await steady.stop();
});

type Named = (typeof crashFlows)[number];

/** What is killed when: decided beforehand, so that a seed means the same whatever the machine does. */
interface Kill {
  number: number;
  flow: Named;
  /** When, as a share of the time that the flow took last. */
  moment: number;
}

const plan: Kill[] = Array.from({ length: kills }, (_, number) => ({
  number,
  flow: random.pick(crashFlows as [Named, ...Named[]]),
  moment: random.next(),
}));

/** Milliseconds within which each flow's kills fall: a little more than it takes, as far as is known. */
const spans = new Map<string, number>();

/** Whether the step had its answer before the kill. */
async function killInTheMiddle({ flow: [name, flow], moment, number }: Kill): Promise<boolean> {
  const [step, victim] = await Promise.all([flow(world), processes.start()]);
  const begun = performance.now();
  const span = spans.get(name) ?? 400;
  const acting = step.act(victim.server).then(
    (outcome) => {
      spans.set(name, (performance.now() - begun) * 1.2);
      return { outcome };
    },
    () => {
      spans.set(name, span * 1.2);
      return undefined;
    },
  );
  await wait(moment * span);
  expect(await victim.kill()).toEqual({ code: null, signal: 'SIGKILL' });
  const acted = await acting;
  await step.verify(acted?.outcome, steady).catch((cause: unknown) => {
    const when = acted === undefined ? 'before' : 'after';
    throw new Error(`kill ${String(number)}, ${name}, ${when} its answer`, { cause });
  });
  return acted !== undefined;
}

describe('A server that is killed', () => {
  it(
    `${String(kills)} times in the middle of things starts again by itself, and every promise is kept`,
    { timeout: 600_000 },
    async () => {
      const remaining = [...plan];
      let broken = 0;
      async function lane(): Promise<void> {
        for (let kill = remaining.shift(); kill !== undefined; kill = remaining.shift()) {
          if (!(await killInTheMiddle(kill))) broken += 1;
        }
      }
      await Promise.all([lane(), lane()]);
      const { doneUntold } = world;
      console.log(`crash: ${String(broken)} broken off, ${String(doneUntold)} of them done`);
      expect(broken).toBeGreaterThan(kills / 10);
      await expectTold(world, (await processes.start()).server);
    },
  );
});
