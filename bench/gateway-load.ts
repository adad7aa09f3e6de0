import { setTimeout as wait } from 'node:timers/promises';
import { flows } from './load/flows.ts';
import { createLane, expectOk } from './load/lane.ts';
import type { Lane } from './load/lane.ts';
import { openConnection } from './load/connection.ts';
import type { Connection } from './load/connection.ts';
import { answerParent } from './parts/channel.ts';
import type {
  GatewayCalls,
  GatewayResult,
  GatewaySlot,
  GatewayWay,
} from './parts/gateway-calls.ts';
import { laneCount, readWorld } from './parts/world.ts';

/** Callers of an API behind NGINX, each with one kept connection to every gateway and its own certificate. */
interface Caller {
  lane: Lane;
  bare: Connection;
  asking: Connection;
}

const [worldFile = ''] = process.argv.slice(2);
const world = readWorld(worldFile);
let callers: Caller[] = [];

answerParent<GatewayCalls>({
  async connect(ports) {
    const place = world.places.large;
    callers = await Promise.all(
      Array.from({ length: laneCount }, async (_, index) => ({
        lane: await createLane({ world, place }, index, undefined),
        bare: connectionTo(ports.bare, index),
        asking: connectionTo(ports.asking, index),
      })),
    );
    await expectQuestions(callers[0]);
  },
  slot: run,
});

function connectionTo(port: number, index: number): Connection {
  const certificate = world.lanes[index];
  if (certificate === undefined) throw new Error(`there is no lane ${String(index)}`);
  const ca = world.authority.certificatePem;
  const origin = `https://localhost:${String(port)}`;
  return openConnection({ port, origin, ca, certificate });
}

const balances = '/accounts/1/balances?page=2';

/** That the gateway asks at all; otherwise it would be measured without. */
async function expectQuestions(caller: Caller | undefined): Promise<void> {
  const answer = await caller?.asking.get(balances);
  if (answer?.status !== 401) throw new Error(`not refused: ${String(answer?.status)}`);
}

/** One request each; the bare NGINX is told the same as the one that asks. */
const ways: Record<GatewayWay, (caller: Caller) => Promise<void>> = {
  async nginx({ lane, bare }) {
    expectOk(await bare.get(balances, { authorization: `Bearer ${lane.tokens.jwt}` }));
  },
  async 'nginx-jwt'({ lane, asking }) {
    expectOk(await asking.get(balances, { authorization: `Bearer ${lane.tokens.jwt}` }));
  },
  async 'nginx-api-key'({ lane, asking }) {
    expectOk(await asking.get('/exports/2026', { 'x-api-key': lane.apiKey }));
  },
  'edge-jwt': ({ lane }) => flows['edge-jwt'](lane),
  'edge-api-key': ({ lane }) => flows['edge-api-key'](lane),
};

async function run(slot: GatewaySlot): Promise<GatewayResult> {
  const latencies: number[] = [];
  const startedAt = performance.now();
  const everyMs = slot.perSecond === undefined ? 0 : (callers.length * 1000) / slot.perSecond;
  await Promise.all(
    callers.map(async (caller, index) => {
      // Side by side, they would come in bursts.
      const schedule = { firstAt: startedAt + (index * everyMs) / callers.length, everyMs };
      const deadline = startedAt + slot.milliseconds;
      latencies.push(...(await askUntil(deadline, schedule, () => ways[slot.way](caller))));
    }),
  );
  const seconds = (performance.now() - startedAt) / 1000;
  return { latencies, perSecond: latencies.length / seconds };
}

/** What was due while an answer was late begins late, which counts. */
async function askUntil(
  deadline: number,
  { firstAt, everyMs }: { firstAt: number; everyMs: number },
  ask: () => Promise<void>,
): Promise<number[]> {
  const latencies: number[] = [];
  let dueAt = firstAt;
  while (dueAt < deadline) {
    const early = dueAt - performance.now();
    if (early > 0) await wait(early);
    const sentAt = early > 0 || everyMs === 0 ? performance.now() : dueAt;
    if (sentAt >= deadline) break;
    await ask();
    latencies.push(performance.now() - sentAt);
    dueAt += everyMs;
  }
  return latencies;
}
