import { createPrivateKey, sign } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import type { JWK } from 'jose';
import type { Child } from './channel.ts';
import type { FlowName } from './figures.ts';
import type { LoadCalls } from './load-calls.ts';
import type { ServerCalls } from './server-calls.ts';
import type { ServerName } from './world.ts';

/** The processes of a run. */
export interface Processes {
  servers: Record<ServerName, Child<ServerCalls>>;
  load: Child<LoadCalls>;
}

/** One slot. */
export interface Sample {
  /** CPU microseconds of the servers for each unit. */
  cpu: number;
  perSecond: number;
  p50Ms: number;
  p99Ms: number;
}

/** What follows the answers (audit, logs) belongs to them: the audit trail commits within 50 ms. */
export const settleMs = 150;
/** The same of what was asked to warm up, which is far less. */
const calmMs = 75;

/** Loads `servers` with one flow and reads their own accounts before and after. */
export async function measure(
  { servers: all, load }: Processes,
  slot: { servers: ServerName[]; flow: FlowName; milliseconds: number },
): Promise<Sample> {
  const { servers, flow } = slot;
  for (const server of servers) await load.call('warm', { server, flow });
  const { result: found, cpuMicroseconds } = await cpuDuring({ servers: all }, servers, () =>
    load.call('slot', slot),
  );
  const { units, ...result } = found;
  return { cpu: cpuMicroseconds / units, ...result };
}

/** What `work` gives, and the CPU microseconds that the named servers took for it. */
export async function cpuDuring<T>(
  { servers: all }: Pick<Processes, 'servers'>,
  names: readonly ServerName[],
  work: () => Promise<T>,
): Promise<{ result: T; cpuMicroseconds: number }> {
  await wait(calmMs);
  const before = await cpuOf(all, names);
  const result = await work();
  await wait(settleMs);
  return { result, cpuMicroseconds: (await cpuOf(all, names)) - before };
}

async function cpuOf(all: Processes['servers'], names: readonly ServerName[]): Promise<number> {
  const usages = await Promise.all(names.map((name) => all[name].call('usage', null)));
  return usages.reduce((sum, { cpuMicroseconds }) => sum + cpuMicroseconds, 0);
}

/** What one RSA-2048 signature costs here and now, and how much of a core we got. */
export interface Calibration {
  /** CPU microseconds. */
  signature: number;
  /** CPU time by wall time: below 1 when others wanted the core as well. */
  share: number;
}

const calibrationMs = 200;

/** Signs as fast as one core can. */
export function calibrate(key: JWK): Calibration {
  const { kid: _kid, alg: _alg, ...jwk } = key;
  const privateKey = createPrivateKey({ key: jwk, format: 'jwk' });
  const data = Buffer.alloc(600, 'x');
  const cpuBefore = process.cpuUsage();
  const startedAt = performance.now();
  let signatures = 0;
  while (performance.now() - startedAt < calibrationMs) {
    sign('RSA-SHA256', data, privateKey);
    signatures += 1;
  }
  const { user, system } = process.cpuUsage(cpuBefore);
  const cpu = user + system;
  return {
    signature: cpu / signatures,
    share: cpu / ((performance.now() - startedAt) * 1000),
  };
}
