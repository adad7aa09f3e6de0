import { noChanges } from '../database/changes.ts';
import { createAuditStore } from '../audit/audit-store.ts';
import type { AuditStore } from '../audit/audit-store.ts';
import type { AuditEntry } from '../audit/events.ts';
import { createAuditTrail } from '../audit/trail.ts';
import type { AuditTrail } from '../audit/trail.ts';
import { createClientStore } from '../clients/client-store.ts';
import type { ClientStore } from '../clients/client-store.ts';
import type { Clock } from '../clock.ts';
import { databaseProblems } from '../config/invariants.ts';
import { loadConfiguration } from '../config/load.ts';
import type { Configuration } from '../config/schema.ts';
import { createCustomerStore } from '../customers/customer-store.ts';
import type { CustomerStore } from '../customers/customer-store.ts';
import type { PrismaClient } from '../database/generated/client.ts';
import { createLogger } from '../observability/logger.ts';
import type { Logger } from '../observability/logger.ts';
import { Problem } from '../problem.ts';
import { createResourceServerStore } from '../resource-servers/resource-server-store.ts';
import type { ResourceServerStore } from '../resource-servers/resource-server-store.ts';
import { createEncryption } from '../security/encryption.ts';
import { openConfiguredDatabase } from '../startup/database.ts';
import { Refusal } from '../startup/material.ts';
import { storedDataKeys } from '../startup/stored-data-keys.ts';
import { operatorName } from './shell.ts';
import type { Shell } from './shell.ts';

/** An administrative act that was done; the context adds who did it. */
export type Act = Omit<AuditEntry, 'actor' | 'outcome'>;

/** What every command that touches the database has. */
export interface Context {
  configuration: Configuration;
  clock: Clock;
  auditStore: AuditStore;
  /** Writes the act down; only then is it reported as done. Problem('audit_failed'). */
  record: (act: Act) => Promise<void>;
}

/** What commands about stored data have besides. */
export interface StoresContext extends Context {
  clients: ClientStore;
  resourceServers: ResourceServerStore;
  customers: CustomerStore;
}

/** The configuration of the environment. Throws a {@link Refusal} with every problem. */
export function configurationOf({ environment }: Shell): Configuration {
  const loaded = loadConfiguration(environment);
  if (!loaded.ok) throw new Refusal(loaded.problems);
  return loaded.configuration;
}

/** A log for people on the error output; quieter than a server's unless COUNTERSIGN_LOG_LEVEL says otherwise. */
export function commandLogger(
  { environment, errors }: Shell,
  configuration: Configuration,
): Logger {
  const isChosen = environment['COUNTERSIGN_LOG_LEVEL'] !== undefined;
  const level = isChosen ? configuration.logLevel : 'error';
  return createLogger({ level, format: configuration.logFormat ?? 'text', destination: errors });
}

/** Opens the database with its audit trail, does the work, and leaves it as it was. */
export async function withAudit<T>(
  shell: Shell,
  work: (context: Context) => Promise<T>,
): Promise<T> {
  return withDatabase(shell, ({ context }) => work(context));
}

/** As {@link withAudit}, with the stores; needs the keys of the stored data. */
export async function withStores<T>(
  shell: Shell,
  work: (context: StoresContext) => Promise<T>,
): Promise<T> {
  const { digestKey, encryptionKeys } = storedDataKeys(configurationOf(shell));
  return withDatabase(shell, ({ context, prisma }) => {
    const encryption = createEncryption(encryptionKeys);
    return work({
      ...context,
      clients: createClientStore({ prisma, digestKey, changes: noChanges }),
      resourceServers: createResourceServerStore({ prisma, changes: noChanges }),
      customers: createCustomerStore({ prisma, encryption, digestKey }),
    });
  });
}

interface Opened {
  context: Context;
  prisma: PrismaClient;
}

async function withDatabase<T>(shell: Shell, work: (opened: Opened) => Promise<T>): Promise<T> {
  const configuration = configurationOf(shell);
  const refused = databaseProblems(configuration);
  if (refused.length > 0) throw new Refusal(refused);
  const logger = commandLogger(shell, configuration);
  // An operator's database is migrated by `migrate` or a server, not by the way; the embedded one may not exist yet.
  const migrateAtStart = configuration.databaseUrl === undefined;
  const poolSize = { databasePoolSize: 2 };
  const opened = await openConfiguredDatabase(
    { ...configuration, ...poolSize, migrateAtStart },
    logger,
  );
  const { prisma } = opened.database;
  const auditStore = createAuditStore(prisma);
  const { clock } = shell;
  const trail = createAuditTrail({ store: auditStore, clock, logger, metrics, ...trailLimits });
  const context = { configuration, clock, auditStore, record: recorder(trail) };
  try {
    for (const migration of opened.applied) {
      await context.record({ type: 'migration.applied', detail: { migration } });
    }
    return await work({ context, prisma });
  } finally {
    await trail.close();
    await opened.close();
  }
}

function recorder(trail: Pick<AuditTrail, 'recordDurably'>): Context['record'] {
  return async (act) => {
    const actor = { type: 'operator', id: operatorName() } as const;
    try {
      await trail.recordDurably({ ...act, actor, outcome: 'success' });
    } catch (cause) {
      throw new Problem('audit_failed', { detail: act.type, cause });
    }
  };
}

/** A command is not scraped; what would be counted fails it. */
const metrics = {
  auditQueue: { set: () => undefined },
  auditDropped: { increment: () => undefined },
};

const trailLimits = { maxQueue: 100, flushIntervalMs: 1, batchSize: 100 };
