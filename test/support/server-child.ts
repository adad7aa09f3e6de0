// A server in a process of its own: says when everything is imported, waits for what to run, says its ports, and
// stops on SIGTERM as the product does.
import { once } from 'node:events';
// eslint-disable-next-line n/no-unsupported-features/node-builtins -- experimental in name only, and here for speed alone
import { flushCompileCache } from 'node:module';
import { systemClock } from '../../src/clock.ts';
import { loadConfiguration } from '../../src/config/load.ts';
import { createLogger } from '../../src/observability/logger.ts';
import { createMetrics } from '../../src/observability/metrics.ts';
import { startServer } from '../../src/startup/server.ts';
import type { RunningServer } from '../../src/startup/server.ts';
import type { Material } from '../../src/startup/material.ts';

/** What a waiting process is told to run. */
export interface StartOrder {
  environment: Record<string, string>;
  material: Material;
}

/** What it answers. */
export type StartReport =
  | { event: 'waiting' }
  | { event: 'serving'; ports: RunningServer['ports'] }
  | { event: 'failed'; reason: string };

function report(message: StartReport): void {
  process.send?.(message);
}

function withBuffers(material: Material): Material {
  const buffer = (bytes: Uint8Array) => Buffer.from(bytes);
  return {
    ...material,
    masterKeys: material.masterKeys.map(buffer),
    cookieKeys: material.cookieKeys.map(buffer),
    encryptionKeys: material.encryptionKeys.map(buffer),
    digestKey: buffer(material.digestKey),
    olderDigestKeys: (material.olderDigestKeys ?? []).map(buffer),
    pairwiseSalt: buffer(material.pairwiseSalt),
  };
}

async function serve({ environment, material }: StartOrder): Promise<RunningServer> {
  const loaded = loadConfiguration(environment);
  if (!loaded.ok) throw new Error(loaded.problems.join('\n'));
  const { logLevel: level } = loaded.configuration;
  const logger = createLogger({ level, format: 'json', destination: process.stdout });
  process.on('unhandledRejection', (error) => {
    logger.error('unhandled rejection', { error });
  });
  return startServer(loaded.configuration, () => Promise.resolve(withBuffers(material)), {
    logger,
    metrics: createMetrics(),
    clock: systemClock,
    prepare: () => Promise.resolve(),
  });
}

process.once('disconnect', () => process.kill(process.pid, 'SIGKILL')); // whoever started it is gone
flushCompileCache(); // a killed process would leave nothing to the next one
const ordered = once(process, 'message');
report({ event: 'waiting' });
const [order] = (await ordered) as [StartOrder];
const signalled = once(process, 'SIGTERM');
try {
  const running = await serve(order);
  report({ event: 'serving', ports: running.ports });
  await signalled;
  await running.stop();
} catch (error) {
  report({ event: 'failed', reason: error instanceof Error ? String(error.stack) : String(error) });
  process.exitCode = 1;
}
process.removeAllListeners('disconnect');
process.disconnect();
