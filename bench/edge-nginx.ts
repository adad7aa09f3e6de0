/** What it costs callers of an API when NGINX in front of it asks the edge about each request. Needs NGINX. */
import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { gatewayWays } from './parts/gateway-calls.ts';
import type { GatewayCalls, GatewayResult, GatewayWay } from './parts/gateway-calls.ts';
import { nginxVersion, startGateways } from './parts/gateways.ts';
import type { Child } from './parts/channel.ts';
import { table } from './parts/markdown.ts';
import { cpuDuring } from './parts/measure.ts';
import type { Processes } from './parts/measure.ts';
import { updateReadme } from './parts/readme.ts';
import { seed } from './parts/seed.ts';
import type { ServerCalls } from './parts/server-calls.ts';
import { createStage, scriptsOf } from './parts/stage.ts';
import { median, quantile, shuffled } from './parts/statistics.ts';
import { activeClients, createProxy, createWorld } from './parts/world.ts';

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '10' },
    'per-second': { type: 'string', default: '300' },
    milliseconds: { type: 'string', default: '2000' },
    write: { type: 'boolean', default: false },
  },
});

/** What one slot at a moderate and one at full load found. */
interface Found {
  p50: number;
  p99: number;
  perSecond: number;
  /** CPU microseconds of the server for a request. */
  cpu: number;
}

type Samples = Record<GatewayWay, Found[]>;

const titles: Record<GatewayWay, string> = {
  nginx: 'NGINX alone',
  'nginx-jwt': 'NGINX that asks: JWT bound to a certificate',
  'nginx-api-key': 'NGINX that asks: API key',
  'edge-jwt': 'the edge asked directly: JWT',
  'edge-api-key': 'the edge asked directly: API key',
};

async function main(): Promise<void> {
  const version = nginxVersion();
  if (version === undefined) {
    process.stderr.write('There is no NGINX here: apt-get install nginx-light\n');
    process.exitCode = 1;
    return;
  }
  const [before = 0] = loadavg();
  await using cleanup = new AsyncDisposableStack();
  // eslint-disable-next-line no-restricted-syntax -- this is a process, like src/main.ts, and reads the same setting
  const { directory, databases } = await createStage(cleanup, process.env['DATABASE_URL']);
  const world = { ...(await createWorld(directory, databases.urls)), proxy: await createProxy() };
  const start = scriptsOf(cleanup, directory, world);
  const server = start<ServerCalls>('countersign-server', 'large');
  await server.call('ready', null);
  await seed(world.places.large.databaseUrl, { clients: activeClients, grants: 1000, consents: 0 });
  const load = start<GatewayCalls>('gateway-load');
  await load.call('connect', await startGateways(cleanup, world));
  const text = report(await measureWays(server, load), { version, before });
  process.stdout.write(text);
  if (options.write) await updateReadme('node bench/edge-nginx.ts --write', text);
}

async function measureWays(
  server: Child<ServerCalls>,
  load: Child<GatewayCalls>,
): Promise<Samples> {
  const servers = { large: server } as Processes['servers'];
  const samples = Object.fromEntries(gatewayWays.map((way) => [way, []])) as unknown as Samples;
  const milliseconds = Number(options.milliseconds);
  const moderate = Number(options['per-second']);
  for (let round = -1; round < Number(options.rounds); round += 1) {
    for (const way of shuffled(gatewayWays)) {
      const paced = await load.call('slot', { way, milliseconds, perSecond: moderate });
      const { result: full, cpuMicroseconds } = await cpuDuring({ servers }, ['large'], () =>
        load.call('slot', { way, milliseconds: milliseconds / 2, perSecond: undefined }),
      );
      // The first is for compilers and connections.
      if (round >= 0) samples[way].push(foundIn({ paced, full, cpuMicroseconds }));
    }
  }
  return samples;
}

function foundIn(slots: {
  paced: GatewayResult;
  full: GatewayResult;
  cpuMicroseconds: number;
}): Found {
  const { paced, full, cpuMicroseconds } = slots;
  return {
    p50: quantile(paced.latencies, 0.5),
    p99: quantile(paced.latencies, 0.99),
    perSecond: full.perSecond,
    cpu: cpuMicroseconds / full.latencies.length,
  };
}

function report(
  samples: Samples,
  { version, before }: { version: string; before: number },
): string {
  const rows = gatewayWays.map((way) => {
    const found = samples[way];
    const of = (name: keyof Found) => found.map((one) => one[name]);
    const more = (name: 'p50' | 'p99') =>
      found.map((one, round) => one[name] - (samples.nginx[round]?.[name] ?? Number.NaN));
    const added = way === 'nginx' ? ['', ''] : [spread(more('p50')), spread(more('p99'))];
    const cpu = way === 'nginx' ? '' : median(of('cpu')).toFixed(0);
    const perSecond = median(of('perSecond')).toFixed(0);
    return [titles[way], spread(of('p50')), spread(of('p99')), ...added, perSecond, cpu];
  });
  return [
    `NGINX ${version}; latencies at ${options['per-second']} requests a second over 8 kept connections, ${options.rounds} rounds: median (quartiles); load average before: ${before.toFixed(1)}`,
    '',
    ...table(
      ['way', 'p50 ms', 'p99 ms', 'p50 more', 'p99 more', 'per second at most', 'CPU µs'],
      rows,
    ),
    '',
  ].join('\n');
}

function spread(values: readonly number[]): string {
  const [low, middle, high] = [0.25, 0.5, 0.75].map((q) => quantile(values, q).toFixed(2));
  return `${middle ?? ''} (${low ?? ''} to ${high ?? ''})`;
}

await main();
