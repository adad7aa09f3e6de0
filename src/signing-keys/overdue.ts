import type { Clock } from '../clock.ts';
import type { Logger } from '../observability/logger.ts';
import type { GaugeHandle } from '../observability/metric-handles.ts';
import type { RotationPolicy } from './key-acts.ts';
import { overdueKeys } from './key-ring.ts';
import type { StagedKey } from './key-ring.ts';

interface Dependencies {
  policy: Pick<RotationPolicy, 'rotateSeconds' | 'announceSeconds' | 'readerWaitSeconds'>;
  metrics: { rotationOverdueSeconds: GaugeHandle<'of'> };
  clock: Clock;
  logger: Logger;
}

/**
 * Measures how long ago each signing key should have been replaced, and tells it once a key when the schedule can't be
 * waiting for resource servers any more: something keeps it from being replaced, or nobody does it.
 */
export function createOverdueWatch({ policy, metrics, clock, logger }: Dependencies) {
  const told = new Set<string>();
  const patience = policy.rotateSeconds === 0 ? 0 : policy.readerWaitSeconds;
  return function onLook(keys: readonly StagedKey[]): void {
    for (const { kid, algorithm, overdueSeconds } of overdueKeys(keys, policy, clock.now())) {
      metrics.rotationOverdueSeconds.set({ of: algorithm }, overdueSeconds);
      if (overdueSeconds <= patience || told.has(kid)) continue;
      told.add(kid);
      logger.warn('A signing key should have been replaced', { kid, algorithm, overdueSeconds });
    }
  };
}
