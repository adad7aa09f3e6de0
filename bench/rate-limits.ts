/** What the rate limits cost a token: servers that differ in nothing else, loaded at the same time. */
import { loadavg } from 'node:os';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { LoadCalls } from './parts/load-calls.ts';
import { table } from './parts/markdown.ts';
import { settleMs } from './parts/measure.ts';
import type { Processes } from './parts/measure.ts';
import { updateReadme } from './parts/readme.ts';
import { seed } from './parts/seed.ts';
import type { ServerCalls } from './parts/server-calls.ts';
import { createStage, scriptsOf } from './parts/stage.ts';
import { median, medianInterval, shuffled } from './parts/statistics.ts';
import { activeClients, createWorld } from './parts/world.ts';
import type { World } from './parts/world.ts';

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '36' },
    milliseconds: { type: 'string', default: '2000' },
    write: { type: 'boolean', default: false },
  },
});

const flow = 'client-credentials';
/** Two of the same kind tell what else makes servers differ. */
const kinds = {
  large: 'no limits',
  second: 'no limits, once more',
  wide: 'memory',
  small: 'Postgres',
} as const;
const names = ['large', 'second', 'wide', 'small'] as const;
type Name = (typeof names)[number];

/** CPU microseconds of a token, by rounds. */
type Samples = Record<Name, number[]>;

async function main(): Promise<void> {
  const [before = 0] = loadavg();
  await using cleanup = new AsyncDisposableStack();
  // eslint-disable-next-line no-restricted-syntax -- this is a process, like src/main.ts, and reads the same setting
  const { directory, databases } = await createStage(cleanup, process.env['DATABASE_URL']);
  const world = withLimits(await createWorld(directory, databases.urls));
  const start = scriptsOf(cleanup, directory, world);
  const servers: Partial<Processes['servers']> = {};
  for (const name of names) {
    servers[name] = start<ServerCalls>('countersign-server', name);
    await servers[name].call('ready', null); // the second finds what the first has written
  }
  for (const name of ['large', 'wide', 'small'] as const) {
    const size = { clients: activeClients, grants: 1000, consents: 0 };
    await seed(world.places[name].databaseUrl, size);
  }
  const load = start<LoadCalls>('load-generator');
  for (const server of names) await load.call('connect', { server, minted: [] });
  const processes = { servers, load } as Processes;
  await warmUp(processes);
  const text = [
    `${options.rounds} rounds; load average before: ${before.toFixed(1)}`,
    '',
    ...report(await samplesOf(processes)),
    '',
  ].join('\n');
  process.stdout.write(text);
  if (options.write) await updateReadme('node bench/rate-limits.ts --write', text);
}

function withLimits({ places, ...rest }: World): World {
  const nowhere = { limits: 'nowhere' as const };
  return {
    ...rest,
    places: {
      ...places,
      large: { ...places.large, ...nowhere },
      second: { ...places.second, ...nowhere },
      wide: { ...places.wide, limits: 'memory' },
      small: { ...places.small, clients: activeClients },
    },
  };
}

/** For compilers: some thousand tokens of each server. */
const warmUpMs = 15_000;

/** Later no client is forgotten: its turn comes again within a minute. */
async function warmUp({ load }: Processes): Promise<void> {
  await Promise.all(names.map((server) => load.call('warm', { server, flow })));
  await load.call('slot', { servers: [...names], flow, milliseconds: warmUpMs });
}

/** All at once: whatever disturbs the machine, even for a millisecond, disturbs all alike. */
async function samplesOf({ servers, load }: Processes): Promise<Samples> {
  const samples: Samples = { large: [], second: [], wide: [], small: [] };
  const milliseconds = Number(options.milliseconds);
  const usages = () => Promise.all(names.map((name) => servers[name].call('usage', null)));
  for (let round = 0; round < Number(options.rounds); round += 1) {
    await wait(settleMs);
    const before = await usages();
    const slots = shuffled(names).map(async (name) => {
      const { units } = await load.call('slot', { servers: [name], flow, milliseconds });
      return [name, units] as const;
    });
    const units = Object.fromEntries(await Promise.all(slots));
    await wait(settleMs);
    const after = await usages();
    for (const [at, name] of names.entries()) {
      const cpu = (after[at]?.cpuMicroseconds ?? 0) - (before[at]?.cpuMicroseconds ?? 0);
      samples[name].push(cpu / (units[name] ?? 0));
    }
  }
  return samples;
}

function report(samples: Samples): string[] {
  const rows = names.map((name) => {
    const cpu = samples[name];
    const numbers = `${median(cpu).toFixed(0)} (${Math.min(...cpu).toFixed(0)})`;
    const more = cpu.map((one, round) => one / withoutLimits(samples, name, round) - 1);
    const [low, high] = medianInterval(more);
    return [kinds[name], numbers, percent(median(more)), `${percent(low)} to ${percent(high)}`];
  });
  const head = [
    'limits counted in',
    'CPU µs a token: median (best)',
    'more',
    'with 95 % confidence',
  ];
  return table(head, rows);
}

/** In the same round: the mean of both for the others, the other one for each of them. */
function withoutLimits({ large, second }: Samples, name: Name, round: number): number {
  const [one = Number.NaN, other = Number.NaN] = [large[round], second[round]];
  if (name === 'large') return other;
  return name === 'second' ? one : (one + other) / 2;
}

const percent = (share: number) => `${(share * 100).toFixed(1)} %`;

await main();
