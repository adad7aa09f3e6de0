import { createDeviceRecognition } from '../customers/device-recognition.ts';
import { createKnownDevices } from '../customers/known-devices.ts';
import { createLoginGuard } from '../customers/login-guard.ts';
import type { LoginGuard } from '../customers/login-guard.ts';
import { createLoginSteps } from '../customers/login-steps.ts';
import { createJourneys } from '../customers/travel/journeys.ts';
import { currentRequest } from '../observability/request-context.ts';
import { Problem } from '../problem.ts';
import { networkOf } from '../security/network-of.ts';
import type { Parts } from './parts.ts';
import type { AppDependencies, AppSettings } from './settings.ts';

/** Long enough to spoil a list for who tries it, short enough for a customer who shares their network. */
const stepSeconds = { waitSeconds: 5, ttlSeconds: 600 } as const;

type Settings = Pick<AppSettings, 'digestKey' | 'olderDigestKeys' | 'locate'>;

/** What stands before the passwords. */
export function loginGuard(
  { digestKey, olderDigestKeys, locate }: Settings,
  { clock }: Pick<AppDependencies, 'clock'>,
  { storage, limits }: Pick<Parts, 'storage' | 'limits'>,
): LoginGuard {
  const { throttle, loginPatterns: patterns, places, singleUse, audit, customers } = storage;
  return createLoginGuard({
    ...{ throttle, patterns, audit, clock },
    steps: createLoginSteps({
      ...{ key: digestKey, clock, ...stepSeconds },
      firstUse: (use) => singleUse.firstUse(use),
    }),
    devices: createDeviceRecognition({
      devices: createKnownDevices(digestKey, ...olderDigestKeys),
      async passwordChangedAt(username) {
        return (await customers.findByUsername(username))?.passwordChangedAt;
      },
      clock,
    }),
    journeys: locate && createJourneys({ locate, places, clock }),
    async limit(address) {
      const refusedBy = await limits.limited.also(currentRequest(), 'login', networkOf(address));
      if (refusedBy === undefined) return 0;
      if (refusedBy.verdict.unavailable) throw new Problem('temporarily_unavailable');
      return Math.max(1, refusedBy.verdict.resetSeconds);
    },
  });
}
