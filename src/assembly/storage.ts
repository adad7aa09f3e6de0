import { createAuditStore } from '../audit/audit-store.ts';
import { createAuditTrail } from '../audit/trail.ts';
import { createBrowserOrigins } from '../clients/browser-origin-store.ts';
import { createClientStore } from '../clients/client-store.ts';
import { createConsentStore } from '../consents/consent-store.ts';
import { createConsentUses } from '../consents/consent-use-store.ts';
import { createConsentsOfCustomer } from '../consents/consents-of-customer-store.ts';
import { createEndOfConsents } from '../consents/consents-of-client-store.ts';
import { createCustomerStore } from '../customers/customer-store.ts';
import { createLoginPatterns } from '../customers/login-pattern-store.ts';
import { createLoginThrottle } from '../customers/login-throttle-store.ts';
import { createPlaceStore } from '../customers/travel/place-store.ts';
import { createReminder } from '../observability/reminder.ts';
import { createArtifactStore } from '../provider/storage/artifact-store.ts';
import { createSessionStore } from '../provider/storage/session-store.ts';
import { createManagedGrantStore } from '../provider/grants/managed-grant-store.ts';
import { createScopeGrantStore } from '../provider/grants/scope-grant-store.ts';
import { createSingleUseStore } from '../provider/storage/single-use-store.ts';
import { createResourceServerStore } from '../resource-servers/resource-server-store.ts';
import { createEventStreamStore } from '../security-events/stream-store.ts';
import { createEncryption } from '../security/encryption.ts';
import type { AppDependencies, AppSettings } from './settings.ts';

/** A row waits 50 ms at most for others to share its commit with; 50,000 rows are about 50 MB. */
const auditLimits = { maxQueue: 50_000, flushIntervalMs: 50, batchSize: 500 };

/** What the slices keep, and the audit trail. */
export function createStorage(settings: AppSettings, deps: AppDependencies) {
  const { prisma, sql } = deps.database;
  const { clock, changes } = deps;
  const { digestKey, olderDigestKeys, refreshRetry } = settings;
  const { session: sessionSeconds } = settings.lifetimes;
  const retries = { retrySeconds: refreshRetry.seconds, retryUnproven: refreshRetry.unproven };
  const encryption = createEncryption(settings.encryptionKeys);
  const endConsents = createEndOfConsents(clock);
  const audit = createAuditTrail({
    store: createAuditStore(deps.database),
    ...deps,
    ...auditLimits,
  });

  function onReplay(kind: string, clientId: string | undefined): void {
    const parties =
      clientId === undefined
        ? { actor: { type: 'client' } as const }
        : { actor: { type: 'client', id: clientId } as const, clientId };
    audit.record({ type: 'replay.detected', outcome: 'refused', ...parties, detail: { kind } });
  }

  return {
    audit,
    clients: createClientStore({ prisma, endConsents, digestKey, olderDigestKeys, changes }),
    browserOrigins: createBrowserOrigins({ sql, changes }),
    resourceServers: createResourceServerStore({ prisma, changes }),
    customers: createCustomerStore({
      ...deps.database,
      encryption,
      digestKey,
      olderDigestKeys,
      changes,
    }),
    consents: createConsentStore({ sql, encryption, clock }),
    consentsOfCustomer: createConsentsOfCustomer({ sql, encryption, clock }),
    consentUses: createConsentUses({ sql, ...deps }),
    sessions: createSessionStore({ sql, encryption, ...deps, sessionSeconds }),
    managedGrants: createManagedGrantStore(sql),
    scopeGrants: createScopeGrantStore({ sql, prisma, encryption }),
    eventStreams: createEventStreamStore({ sql, encryption }),
    throttle: createLoginThrottle({ prisma, digestKey, clock }),
    loginPatterns: createLoginPatterns({ sql, digestKey, clock }),
    places: createPlaceStore({ sql, encryption, clock, onUnreadable: placeWarning(deps) }),
    singleUse: createSingleUseStore(sql),
    artifacts: createArtifactStore({ sql, encryption, clock, onReplay, retries }),
    onReplay,
  };
}

/** After a key was lost each customer may have such a place. */
const placeWarningMs = 3_600_000;

/** Tells operators of places that can't be opened, and not of each. */
function placeWarning({ logger, clock }: AppDependencies): (error: unknown) => void {
  const isNews = createReminder(clock);
  return (error) => {
    if (!isNews('places', placeWarningMs)) return;
    logger.warn("Where a customer last logged in can't be opened: it is not judged by", { error });
  };
}

/** The stores that all parts share. */
export type Storage = ReturnType<typeof createStorage>;
