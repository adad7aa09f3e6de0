import { noChanges } from '../database/changes.ts';
import { createAuditStore } from '../audit/audit-store.ts';
import type { AuditStore } from '../audit/audit-store.ts';
import type { AuditEntry } from '../audit/events.ts';
import { createAuditTrail } from '../audit/trail.ts';
import type { AuditTrail } from '../audit/trail.ts';
import { createClientStore } from '../clients/client-store.ts';
import type { ClientStore } from '../clients/client-store.ts';
import type { InitialAccessTokenStore } from '../clients/registration/initial-access-token-store.ts';
import { createRegistrationStores } from '../clients/registration/registration-store.ts';
import type { RegistrationStore } from '../clients/registration/registration-store.ts';
import type { Clock } from '../clock.ts';
import { databaseProblems } from '../config/invariants.ts';
import { loadConfiguration } from '../config/load.ts';
import type { Configuration } from '../config/schema.ts';
import { createConsentStore } from '../consents/consent-store.ts';
import type { ConsentStore } from '../consents/consent-store.ts';
import { createEndOfConsents } from '../consents/consents-of-client-store.ts';
import { createCustomerStore } from '../customers/customer-store.ts';
import type { CustomerStore } from '../customers/customer-store.ts';
import type { PrismaClient } from '../database/generated/client.ts';
import type { Sql } from '../database/sql.ts';
import { createLogger } from '../observability/logger.ts';
import type { Logger } from '../observability/logger.ts';
import { Problem } from '../problem.ts';
import { createResourceServerStore } from '../resource-servers/resource-server-store.ts';
import type { ResourceServerStore } from '../resource-servers/resource-server-store.ts';
import { createEventStreamStore } from '../security-events/stream-store.ts';
import type { EventStreamStore } from '../security-events/stream-store.ts';
import { createEncryption } from '../security/encryption.ts';
import type { Rotation } from '../signing-keys/rotation.ts';
import { openConfiguredDatabase } from '../startup/database.ts';
import { masterKeysOf, rotationOf } from '../startup/key-ring.ts';
import { Refusal } from '../startup/material.ts';
import { signerProblems, signersOf } from '../startup/signers.ts';
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
  registrations: RegistrationStore;
  initialAccessTokens: InitialAccessTokenStore;
  resourceServers: ResourceServerStore;
  customers: CustomerStore;
  consents: ConsentStore;
  eventStreams: EventStreamStore;
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
  const { digestKey, olderDigestKeys, encryptionKeys } = storedDataKeys(configurationOf(shell));
  return withDatabase(shell, ({ context, prisma, sql }) => {
    const encryption = createEncryption(encryptionKeys);
    const clients = createClientStore({
      prisma,
      endConsents: createEndOfConsents(context.clock),
      digestKey,
      olderDigestKeys,
      changes: noChanges,
    });
    return work({
      ...context,
      clients,
      ...createRegistrationStores({ ...context, prisma, sql, clients }),
      resourceServers: createResourceServerStore({ prisma, changes: noChanges }),
      consents: createConsentStore({ sql, encryption, clock: context.clock }),
      eventStreams: createEventStreamStore({ sql, encryption }),
      customers: createCustomerStore({ prisma, sql, encryption, digestKey, olderDigestKeys }),
    });
  });
}

/** As {@link withAudit}, with the ring of signing keys; needs the master keys. */
export async function withKeyRing<T>(
  shell: Shell,
  work: (rotation: Rotation) => Promise<T>,
): Promise<T> {
  const configured = configurationOf(shell);
  const refused = signerProblems(configured);
  if (refused.length > 0) throw new Refusal(refused);
  const masterKeys = masterKeysOf(configured);
  const signers = signersOf(configured, { metrics });
  try {
    return await withDatabase(shell, ({ context: { configuration, clock, record }, prisma }) =>
      work(rotationOf(configuration, { prisma, masterKeys, signers, clock, record })),
    );
  } finally {
    await signers.close();
  }
}

interface Opened {
  context: Context;
  prisma: PrismaClient;
  sql: Sql;
}

/** Opens the database for work of any kind, and leaves it as it was. */
export async function withDatabase<T>(
  shell: Shell,
  work: (opened: Opened) => Promise<T>,
): Promise<T> {
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
  const { prisma, sql } = opened.database;
  const auditStore = createAuditStore(opened.database);
  const { clock } = shell;
  const trail = createAuditTrail({ store: auditStore, clock, logger, metrics, ...trailLimits });
  const context = { configuration, clock, auditStore, record: recorder(trail) };
  try {
    for (const migration of opened.applied) {
      await context.record({ type: 'migration.applied', detail: { migration } });
    }
    return await work({ context, prisma, sql });
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
  signatureSeconds: { observe: () => undefined },
  signatureFailures: { increment: () => undefined },
};

const trailLimits = { maxQueue: 100, flushIntervalMs: 1, batchSize: 100 };
