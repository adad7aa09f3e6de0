import type { Clock } from '../clock.ts';
import type { Database } from '../database/client.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import { agedSecrets, noteSecrets, secretAges } from './secret-ages.ts';
import type { SecretAge } from './secret-ages.ts';

interface Dependencies {
  material: Parameters<typeof agedSecrets>[0];
  prisma: Pick<Database['prisma'], 'secretSighting'>;
  clock: Clock;
  logger: Logger;
  metrics: Pick<Metrics, 'rotationOverdueSeconds'>;
}

/** Watches over the ages of the secrets. */
export interface SecretWatch {
  /** Notes the secrets; their ages count from the first start with them. Then looks every hour. */
  start(): Promise<void>;
  /** Measures and tells what is due, once for each value and state. */
  look(): Promise<void>;
  stop(): Promise<void>;
}

const lookMs = 3_600_000;

/** The secrets of a server's material: how overdue each is as a metric, and a warning. */
export function createSecretWatch(deps: Dependencies): SecretWatch {
  const { material, prisma, clock, logger, metrics } = deps;
  const secrets = agedSecrets(material);
  const told = new Set<string>();
  let timer: NodeJS.Timeout | undefined;

  function tell({ variable, fingerprint, ageDays, state }: SecretAge): void {
    const what = `${variable} ${fingerprint} ${state}`;
    if ((state !== 'due' && state !== 'overdue') || told.has(what)) return;
    told.add(what);
    logger.warn('A secret is due to be replaced', { variable, ageDays, state });
  }

  async function look(): Promise<void> {
    for (const age of await secretAges(secrets, prisma, clock)) {
      tell(age);
      if (age.use === 'makes') {
        metrics.rotationOverdueSeconds.set({ of: age.variable }, overdueSeconds(age));
      }
    }
  }

  return {
    look,
    async start() {
      await noteSecrets(secrets, prisma, clock);
      await look();
      timer = setInterval(() => {
        look().catch((error: unknown) => {
          logger.warn('The ages of the secrets could not be read', { error });
        });
      }, lookMs).unref();
    },
    stop() {
      clearInterval(timer);
      return Promise.resolve();
    },
  };
}

function overdueSeconds({ ageDays, dueDays }: SecretAge): number {
  if (ageDays === undefined || dueDays === undefined) return 0;
  return Math.max(0, ageDays - dueDays) * 86_400;
}
