import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createMetrics } from '../../src/observability/metrics.ts';
import { createSecretWatch } from '../../src/startup/secret-watch.ts';
import { recordingLogger } from '../support/recording-logger.ts';
import { storeGround } from '../support/store.ts';
import type { StoreGround } from '../support/store.ts';

const day = 86_400_000;

let ground: StoreGround;
beforeEach(async () => {
  ground = await storeGround();
});
afterEach(() => ground.close());

it('A secret that is due is measured and told once in each state, and a new one is fresh', async () => {
  const begin = new Date('2026-01-01T00:00:00Z').getTime();
  let now = new Date(begin);
  const clock = { now: () => now };
  const { logger, lines } = recordingLogger();
  const metrics = createMetrics();
  const key = randomBytes(32);
  const material = {
    cookieKeys: [key],
    masterKeys: [randomBytes(32)],
    encryptionKeys: [randomBytes(32)],
    digestKey: randomBytes(32),
    pairwiseSalt: randomBytes(32),
  };
  const deps = { prisma: ground.prisma, clock, logger, metrics };
  const watch = createSecretWatch({ ...deps, material });
  await watch.start();
  const told = async () =>
    (await lines())
      .filter(({ variable }) => variable === 'COUNTERSIGN_COOKIE_KEYS')
      .map(({ state }) => state);
  const counts = [];
  for (const days of [89, 91, 92, 181, 182]) {
    now = new Date(begin + days * day);
    await watch.look();
    counts.push((await told()).join());
  }
  expect(counts).toEqual(['', 'due', 'due', 'due,overdue', 'due,overdue']);
  const line = 'countersign_rotation_overdue_seconds{of="COUNTERSIGN_COOKIE_KEYS"}';
  expect(await metrics.text()).toContain(`${line} ${String(92 * 86_400)}`);
  expect(await metrics.text()).toContain('{of="COUNTERSIGN_PAIRWISE_SALT"} 0');
  await watch.stop();

  const renewed = { ...material, cookieKeys: [randomBytes(32), key] };
  const next = createSecretWatch({ ...deps, material: renewed });
  await next.start();
  expect(await metrics.text()).toContain(`${line} 0`);
  await next.stop();
});
