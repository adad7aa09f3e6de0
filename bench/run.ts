import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { flowNames } from './parts/figures.ts';
import type { FlowName } from './parts/figures.ts';
import type { LoadCalls } from './parts/load-calls.ts';
import type { Processes } from './parts/measure.ts';
import { measureKeyRing } from './parts/key-ring.ts';
import { updateReadme } from './parts/readme.ts';
import { measureRegistrations } from './parts/registrations.ts';
import { report } from './parts/report.ts';
import type { Findings } from './parts/report.ts';
import { runRounds } from './parts/rounds.ts';
import { seed } from './parts/seed.ts';
import type { ServerCalls, Usage } from './parts/server-calls.ts';
import { namedFlows, someFlowsReport } from './parts/some-flows.ts';
import { createStage, scriptsOf } from './parts/stage.ts';
import type { StartScript } from './parts/stage.ts';
import { measureStarts } from './parts/start-time.ts';
import { measureUpkeep } from './parts/upkeep.ts';
import { measureVerifications } from './parts/verifications.ts';
import { createWorld, serverNames } from './parts/world.ts';
import type { ServerName, World } from './parts/world.ts';

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string' },
    milliseconds: { type: 'string', default: '700' },
    grants: { type: 'string', default: '1000000' },
    database: { type: 'string' },
    flows: { type: 'string' },
    write: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

const only = namedFlows(options.flows);

/** With the minutes since this process began. */
function progress(text: string): void {
  process.stderr.write(`${(performance.now() / 60_000).toFixed(1)} min: ${text}\n`);
}

async function main(): Promise<void> {
  await using cleanup = new AsyncDisposableStack();
  const before = loadavg()[0] ?? 0;
  const { directory, databases } = await createStage(cleanup, databaseUrl());
  const world = await createWorld(directory, databases.urls);
  const processes = await startProcesses(scriptsOf(cleanup, directory, world));
  await fill(world);
  await connectLanes(processes);
  const measurements = await runRounds(processes, {
    rounds: options.rounds === undefined ? undefined : Number(options.rounds),
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
    minutes: performance.now() / 60_000,
  };
  const text = report(findings);
  process.stdout.write(`${text}\n`);
  if (options.write) await updateReadme('npm run bench -- --write', text);
}

/** Given, or DATABASE_URL, as for the server; a role that may create databases. */
function databaseUrl(): string | undefined {
  // eslint-disable-next-line no-restricted-syntax -- this is a process, like src/main.ts, and reads the same setting
  return options.database ?? process.env['DATABASE_URL'];
}

async function startProcesses(startScript: StartScript): Promise<Processes> {
  const start = async (name: ServerName) => {
    const script = name === 'bare' ? 'bare-server' : 'countersign-server';
    const child = startScript<ServerCalls>(script, name);
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
  return { servers, load: startScript<LoadCalls>('load-generator') };
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

function help(): void {
  process.stdout.write(
    [
      'npm run bench -- [options]: see bench/README.md',
      '  --flows <names>        only these flows, at ours and at bare: ' + flowNames.join(', '),
      '  --rounds <number>      else 3 to 6, as a run of ten minutes has time for',
      '  --milliseconds 700 (of a slot)  --grants 1000000',
      '  --database <url>       a role that may create databases; else DATABASE_URL, else an embedded one',
      '  --write                put the numbers into bench/README.md',
      '',
    ].join('\n'),
  );
}

if (options.help) help();
else await main();
