import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { loadavg, tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { startChild } from './parts/channel.ts';
import { createDatabases } from './parts/databases.ts';
import { flowNames } from './parts/figures.ts';
import type { FlowName } from './parts/figures.ts';
import type { LoadCalls } from './parts/load-calls.ts';
import type { Processes } from './parts/measure.ts';
import { measureKeyRing } from './parts/key-ring.ts';
import { measureRegistrations } from './parts/registrations.ts';
import { report } from './parts/report.ts';
import type { Findings } from './parts/report.ts';
import { runRounds } from './parts/rounds.ts';
import { seed } from './parts/seed.ts';
import type { ServerCalls, Usage } from './parts/server-calls.ts';
import { namedFlows, someFlowsReport } from './parts/some-flows.ts';
import { measureStarts } from './parts/start-time.ts';
import { measureUpkeep } from './parts/upkeep.ts';
import { measureVerifications } from './parts/verifications.ts';
import { createWorld, serverNames, writeWorld } from './parts/world.ts';
import type { ServerName, World } from './parts/world.ts';

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '6' },
    milliseconds: { type: 'string', default: '700' },
    grants: { type: 'string', default: '1000000' },
    database: { type: 'string' },
    flows: { type: 'string' },
    write: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

const only = namedFlows(options.flows);

const readme = path.resolve(import.meta.dirname, 'README.md');
const beginOfNumbers = '<!-- numbers: npm run bench -- --write -->\n';
const endOfNumbers = '<!-- end of numbers -->';

function progress(text: string): void {
  process.stderr.write(`${text}\n`);
}

async function main(): Promise<void> {
  await using cleanup = new AsyncDisposableStack();
  const startedAt = performance.now();
  const before = loadavg()[0] ?? 0;
  const directory = await mkdtemp(path.join(tmpdir(), 'countersign-bench-'));
  await chmod(directory, 0o711); // started by root, Postgres runs as somebody else, who has to get through
  cleanup.defer(() => rm(directory, { recursive: true, force: true }));
  const databases = await createDatabases(directory, databaseUrl());
  cleanup.defer(() => databases.close());
  const world = await createWorld(directory, databases.urls);
  const processes = await startProcesses(cleanup, directory, world);
  await fill(world);
  await connectLanes(processes);
  progress('warming up');
  const measurements = await runRounds(processes, {
    rounds: Number(options.rounds),
    milliseconds: Number(options.milliseconds),
    signingKey: world.signingKey,
    only,
    progress,
  });
  if (only !== undefined) {
    process.stdout.write(`${someFlowsReport(measurements, only)}\n`);
    return;
  }
  const findings: Findings = {
    measurements,
    statements: await traceFlows(processes),
    memory: {
      ours: await usageOf(processes, 'large'),
      bare: await usageOf(processes, 'bare'),
    },
    upkeep: await measureUpkeep(processes, world.places.large.databaseUrl, progress),
    verifications: await measureVerifications(processes, progress),
    keyRing: await measureKeyRing(processes, world, progress),
    registrations: await measureRegistrations(processes, progress),
    startMs: await measureStarts(directory, databases.urls.startup, 5),
    loadAverages: { before, after: loadavg()[0] ?? 0 },
    postgresVersion: databases.version,
    minutes: (performance.now() - startedAt) / 60_000,
  };
  const text = report(findings);
  process.stdout.write(`${text}\n`);
  if (options.write) await updateReadme(text);
}

/** Given, or DATABASE_URL, as for the server; a role that may create databases. */
function databaseUrl(): string | undefined {
  // eslint-disable-next-line no-restricted-syntax -- this is a process, like src/main.ts, and reads the same setting
  return options.database ?? process.env['DATABASE_URL'];
}

async function startProcesses(
  cleanup: AsyncDisposableStack,
  directory: string,
  world: World,
): Promise<Processes> {
  const worldFile = path.join(directory, 'world.json');
  writeWorld(worldFile, world);
  const file = (name: string) => path.resolve(import.meta.dirname, `${name}.ts`);
  const logFile = (name: string) => path.join(directory, `${name}.log`);
  const start = async (name: ServerName) => {
    const script = name === 'bare' ? 'bare-server' : 'countersign-server';
    const child = startChild<ServerCalls>(file(script), [worldFile, name], logFile(name));
    cleanup.defer(() => child.stop());
    await child.call('ready', null);
    return child;
  };
  progress('starting the servers');
  const servers = {
    bare: await start('bare'),
    large: await start('large'),
    second: await start('second'),
    wide: await start('wide'),
    small: await start('small'),
  };
  const load = startChild<LoadCalls>(file('load-generator'), [worldFile], logFile('load'));
  cleanup.defer(() => load.stop());
  return { servers, load };
}

async function fill({ places }: World): Promise<void> {
  progress('filling the databases');
  await seed(places.large.databaseUrl, { clients: 100_000, ...manyOf(Number(options.grants)) });
  await seed(places.wide.databaseUrl, { clients: 100_000, ...manyOf(1000) });
  await seed(places.small.databaseUrl, { clients: places.small.clients, ...manyOf(1000) });
}

/** As many consents as grants. */
const manyOf = (grants: number) => ({ grants, consents: grants });

async function connectLanes({ servers, load }: Processes): Promise<void> {
  progress('connecting, logging customers in');
  for (const server of serverNames) {
    const minted = await servers[server].call('mintedTokens', null);
    await load.call('connect', { server, minted });
  }
}

async function traceFlows({ servers, load }: Processes): Promise<Record<FlowName, string[]>> {
  const traced: Partial<Record<FlowName, string[]>> = {};
  for (const flow of flowNames) {
    await load.call('warm', { server: 'large', flow });
    await servers.large.call('startTrace', null);
    await load.call('alone', { server: 'large', flow });
    traced[flow] = await servers.large.call('stopTrace', null);
  }
  return traced as Record<FlowName, string[]>;
}

function usageOf({ servers }: Processes, name: ServerName): Promise<Usage> {
  return servers[name].call('usage', null);
}

async function updateReadme(numbers: string): Promise<void> {
  const text = await readFile(readme, 'utf8');
  const begin = text.indexOf(beginOfNumbers) + beginOfNumbers.length;
  const end = text.indexOf(endOfNumbers);
  if (begin < beginOfNumbers.length || end < begin)
    throw new Error(`no place for numbers in ${readme}`);
  await writeFile(readme, `${text.slice(0, begin)}\n${numbers}\n\n${text.slice(end)}`);
}

function help(): void {
  process.stdout.write(
    [
      'npm run bench -- [options]: see bench/README.md',
      '  --flows <names>        only these flows, at ours and at bare: ' + flowNames.join(', '),
      '  --rounds 6  --milliseconds 700 (of a slot)  --grants 1000000',
      '  --database <url>       a role that may create databases; else DATABASE_URL, else an embedded one',
      '  --write                put the numbers into bench/README.md',
      '',
    ].join('\n'),
  );
}

if (options.help) help();
else await main();
