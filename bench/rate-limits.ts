/** What the rate limits cost a token: three servers that differ in nothing else, loaded in turn. */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { startChild } from './parts/channel.ts';
import { createDatabases } from './parts/databases.ts';
import type { LoadCalls } from './parts/load-calls.ts';
import { measure } from './parts/measure.ts';
import type { Processes } from './parts/measure.ts';
import { seed } from './parts/seed.ts';
import type { ServerCalls } from './parts/server-calls.ts';
import { median, shuffled } from './parts/statistics.ts';
import { activeClients, createWorld, writeWorld } from './parts/world.ts';

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '12' },
    milliseconds: { type: 'string', default: '700' },
  },
});

const flow = 'client-credentials';
const kinds = { large: 'no limits', wide: 'memory', small: 'Postgres' } as const;
const names = ['large', 'wide', 'small'] as const;

async function main(): Promise<void> {
  await using cleanup = new AsyncDisposableStack();
  const directory = await mkdtemp(path.join(tmpdir(), 'countersign-bench-'));
  await chmod(directory, 0o711); // started by root, Postgres runs as somebody else, who has to get through
  cleanup.defer(() => rm(directory, { recursive: true, force: true }));
  // eslint-disable-next-line no-restricted-syntax -- this is a process, like src/main.ts, and reads the same setting
  const databases = await createDatabases(directory, process.env['DATABASE_URL']);
  cleanup.defer(() => databases.close());
  const { places, ...rest } = await createWorld(directory, databases.urls);
  const { large, wide, small } = places;
  const world = {
    ...rest,
    places: {
      ...places,
      large: { ...large, limits: 'nowhere' as const },
      wide: { ...wide, limits: 'memory' as const },
      small: { ...small, clients: activeClients },
    },
  };
  const file = path.join(directory, 'world.json');
  writeWorld(file, world);
  const start = <Calls extends object>(script: string, args: string[]) => {
    const log = path.join(directory, `${[script, ...args.slice(1)].join('-')}.log`);
    const child = startChild<Calls>(path.resolve(import.meta.dirname, `${script}.ts`), args, log);
    cleanup.defer(() => child.stop());
    return child;
  };
  const serverOf = (name: string) => start<ServerCalls>('countersign-server', [file, name]);
  const started = { large: serverOf('large'), wide: serverOf('wide'), small: serverOf('small') };
  for (const name of names) {
    await started[name].call('ready', null);
    await seed(world.places[name].databaseUrl, {
      ...{ clients: activeClients, grants: 1000, consents: 0 },
    });
  }
  const load = start<LoadCalls>('load-generator', [file]);
  for (const server of names) await load.call('connect', { server, minted: [] });
  const processes = { servers: started, load } as unknown as Processes;
  report(await samplesOf(processes));
}

async function samplesOf(processes: Processes): Promise<Record<(typeof names)[number], number[]>> {
  const samples = { large: [] as number[], wide: [] as number[], small: [] as number[] };
  const milliseconds = Number(options.milliseconds);
  for (let round = -2; round < Number(options.rounds); round += 1) {
    for (const name of shuffled([...names])) {
      const { cpu } = await measure(processes, { servers: [name], flow, milliseconds });
      if (round >= 0) samples[name].push(cpu);
    }
  }
  return samples;
}

function report(samples: Record<(typeof names)[number], readonly number[]>): void {
  const [base, best] = [median(samples.large), Math.min(...samples.large)];
  const lines = names.map((name) => {
    const [middle, least] = [median(samples[name]), Math.min(...samples[name])];
    const percent = (ours: number, bare: number) => `${((ours / bare - 1) * 100).toFixed(1)} %`;
    const numbers = `${middle.toFixed(0)} (${least.toFixed(0)})`;
    return `| ${kinds[name]} | ${numbers} | ${percent(middle, base)} (${percent(least, best)}) |`;
  });
  process.stdout.write(
    [
      '| limits counted in | CPU µs a token: median (best) | more |',
      '| --- | --- | --- |',
      ...lines,
      '',
    ].join('\n'),
  );
}

await main();
