import { request } from 'node:https';
import { setTimeout as wait } from 'node:timers/promises';
import { systemClock } from '../../src/clock.ts';
import { loadConfiguration } from '../../src/config/load.ts';
import { openDatabase } from '../../src/database/client.ts';
import { createLogger } from '../../src/observability/logger.ts';
import { createMetrics } from '../../src/observability/metrics.ts';
import type { Rotation } from '../../src/signing-keys/rotation.ts';
import { rotationOf } from '../../src/startup/key-ring.ts';
import { signersOf } from '../../src/startup/signers.ts';
import { measure } from './measure.ts';
import type { Processes, Sample } from './measure.ts';
import { median, quantile, shuffled } from './statistics.ts';
import { inWords, ratioSummary } from './summary.ts';
import type { Place, World } from './world.ts';

/** What the ring of signing keys costs. */
export interface KeyRingFindings {
  /** Slots with a key that nothing can exchange, with the ring at rest, and with a rotation every half second. */
  slots: Record<'fixed' | 'ring' | 'rotating', readonly Sample[]>;
  rotations: number;
  /** CPU microseconds of one exchange of the engine. */
  swap: number;
  /** From the moment a key is announced until the other process publishes it. */
  propagationMs: readonly number[];
  /** Until every process lets it sign. */
  promotionMs: readonly number[];
}

const turns = 5;
const slotMs = 1000;
const propagations = 20;
const rotateMs = 500;

/** Tokens with and without the ring, and while it rotates, in random order after a warm-up; then how fast the second process follows. */
export async function measureKeyRing(
  processes: Processes,
  world: World,
  progress: (text: string) => void,
): Promise<KeyRingFindings> {
  progress('rotating keys');
  const operator = operatorOf(world);
  const slots = { fixed: [] as Sample[], ring: [] as Sample[], rotating: [] as Sample[] };
  const slot = {
    servers: ['large' as const],
    flow: 'client-credentials' as const,
    milliseconds: slotMs,
  };
  let rotations = 0;
  const measured = () => measure(processes, slot);
  const variants = {
    async fixed() {
      await wait(rotateMs); // a key that is still on its way would end it
      await processes.servers.large.call('pinKeys', null);
      return measured();
    },
    async ring() {
      await unpin(operator.rotation);
      return measured();
    },
    async rotating() {
      await unpin(operator.rotation);
      const [sample, done] = await whileRotating(operator.rotation, measured);
      rotations += done;
      return sample;
    },
  } satisfies Record<keyof typeof slots, () => Promise<Sample>>;
  const names = ['fixed', 'ring', 'rotating'] as const;
  for (const name of shuffled(names)) await variants[name](); // code that ran more is compiled better
  rotations = 0;
  for (let turn = 0; turn < turns; turn += 1) {
    for (const name of shuffled(names)) slots[name].push(await variants[name]());
  }
  const followed = await measurePropagation(operator.rotation, world);
  const swap = await processes.servers.small.call('swapKeys', 200);
  await operator.close();
  return { slots, rotations, swap, ...followed };
}

function operatorOf({ places, keys }: World) {
  const loaded = loadConfiguration({});
  if (!loaded.ok) throw new Error(loaded.problems.join('\n'));
  const { configuration } = loaded;
  const database = openDatabase({
    connection: { connectionString: places.large.databaseUrl },
    poolSize: 2,
    statementTimeoutMs: 30_000,
    connectTimeoutMs: 5000,
    logger: createLogger({ level: 'warn', format: 'text', destination: process.stderr }),
  });
  const signers = signersOf(configuration, { metrics: createMetrics() });
  const masterKeys = [Buffer.from(keys.encryption, 'base64url')];
  const { prisma } = database;
  const ground = { prisma, masterKeys, signers, clock: systemClock, record: () => undefined };
  return { rotation: rotationOf(configuration, ground), close: () => database.close() };
}

/** The ring is in force again; once everybody has its new key, it is at rest. */
async function unpin(rotation: Rotation): Promise<void> {
  await rotation.rotate('RS256', { force: true });
  await wait(rotateMs);
}

async function whileRotating<T>(
  rotation: Rotation,
  work: () => Promise<T>,
): Promise<[result: T, rotations: number]> {
  const state = { isOver: false, rotations: 0 };
  const rotating = (async () => {
    while (!state.isOver) {
      await rotation.rotate('RS256', { force: true });
      state.rotations += 1;
      await wait(rotateMs);
    }
  })();
  try {
    return [await work(), state.rotations];
  } finally {
    state.isOver = true;
    await rotating;
  }
}

async function measurePropagation(rotation: Rotation, world: World) {
  const propagationMs: number[] = [];
  const promotionMs: number[] = [];
  for (let turn = 0; turn < propagations; turn += 1) {
    const { kid } = await rotation.announce('RS256');
    const announcedAt = performance.now();
    while (!(await keySet(world.places.second, world)).includes(kid)) await wait(1);
    propagationMs.push(performance.now() - announcedAt);
    const promotedAt = performance.now();
    await rotation.promote(kid, { force: true });
    promotionMs.push(performance.now() - promotedAt);
  }
  return { propagationMs, promotionMs };
}

/** The text of a process's key set. */
function keySet({ port, issuer }: Place, { authority }: World): Promise<string> {
  const { host } = new URL(issuer);
  return new Promise((resolve, reject) => {
    const options = { port, path: '/jwks', ca: authority.certificatePem, headers: { host } };
    request({ host: 'localhost', ...options }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('error', reject).on('end', () => {
        resolve(text);
      });
    })
      .on('error', reject)
      .end();
  });
}

/** The findings as lines of the report. */
export function keyRingLines(findings: KeyRingFindings): string[] {
  const { slots, rotations, swap, propagationMs, promotionMs } = findings;
  const perSecond = (name: keyof typeof slots) => slots[name].map((sample) => sample.perSecond);
  const cpu = (name: keyof typeof slots) => median(slots[name].map((sample) => sample.cpu));
  const told = (name: keyof typeof slots) =>
    `${median(perSecond(name)).toFixed(0)} (${cpu(name).toFixed(0)} µs CPU each)`;
  const fixed = perSecond('fixed');
  const besideFixed = (name: keyof typeof slots) =>
    inWords(ratioSummary(perSecond(name).map((found, at) => found / (fixed[at] ?? Number.NaN))));
  const spread = (values: readonly number[]) =>
    `${median(values).toFixed(0)} ms (median of ${String(values.length)}; ${quantile(values, 1).toFixed(0)} ms at most)`;
  return [
    `- tokens a second with the ring at rest: ${told('ring')}; with a fixed key, which no ring can exchange: ${told('fixed')}; ratio ${besideFixed('ring')}, asked for is 0.9 to 1.1`,
    `- while somebody rotates the key every ${(rotateMs / 1000).toFixed(1)} s (${String(rotations)} times, which nobody does): ${told('rotating')}; ratio ${besideFixed('rotating')}`,
    `- one exchange of the engine's keys: ${(swap / 1000).toFixed(1)} ms CPU; a new key was in the other process's key set after ${spread(propagationMs)}, and promoted within ${spread(promotionMs)}`,
  ];
}
