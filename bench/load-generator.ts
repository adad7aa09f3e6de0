import { answerParent } from './parts/channel.ts';
import { laneCount, readWorld } from './parts/world.ts';
import type { ServerName } from './parts/world.ts';
import { flows } from './load/flows.ts';
import { createLane } from './load/lane.ts';
import type { Lane } from './load/lane.ts';
import { makeNewcomers, register, serveDirectory } from './load/registering.ts';
import type { Newcomer } from './load/registering.ts';
import type { LoadCalls, Slot, SlotResult } from './parts/load-calls.ts';
import { quantile } from './parts/statistics.ts';

/** The callers, in a process of their own: whatever they cost is not the servers'. */
const [worldFile = ''] = process.argv.slice(2);
const world = readWorld(worldFile);
const lanes: Partial<Record<ServerName, Lane[]>> = {};
const directory = serveDirectory(world);
let newcomers: Newcomer[] = [];

answerParent<LoadCalls>({
  async connect({ server, minted }) {
    const place = world.places[server];
    lanes[server] = await Promise.all(
      Array.from({ length: laneCount }, (_, index) =>
        createLane({ world, place }, index, minted[index]),
      ),
    );
  },

  async warm({ server, flow }) {
    const isManyClients = flow.startsWith('client-credentials');
    await Promise.all(
      lanesOf([server]).map(async (lane) => {
        for (let turn = 0; turn < (isManyClients ? lane.turns : 1); turn += 1) {
          await flows[flow](lane);
        }
      }),
    );
  },

  async alone({ server, flow }) {
    const [lane] = lanesOf([server]);
    if (lane !== undefined) await flows[flow](lane);
  },

  async newcomers(count) {
    newcomers = await makeNewcomers(world, count);
  },

  async register(server) {
    await directory;
    const taken: number[] = [];
    for (const one of newcomers) {
      taken.push(await register(one, { world, place: world.places[server] }));
    }
    return taken;
  },

  slot: run,
});

function lanesOf(servers: readonly ServerName[]): Lane[] {
  return servers.flatMap((server) => lanes[server] ?? []);
}

/** All lanes ask as fast as they are answered, until the time is over. */
async function run({ servers, flow, milliseconds }: Slot): Promise<SlotResult> {
  const work = flows[flow];
  const latencies: number[] = [];
  const startedAt = performance.now();
  const deadline = startedAt + milliseconds;
  await Promise.all(
    lanesOf(servers).map(async (lane) => {
      let sentAt = performance.now();
      while (sentAt < deadline) {
        await work(lane);
        const answeredAt = performance.now();
        latencies.push(answeredAt - sentAt);
        sentAt = answeredAt;
      }
    }),
  );
  const seconds = (performance.now() - startedAt) / 1000;
  return {
    units: latencies.length,
    perSecond: latencies.length / seconds,
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
  };
}
