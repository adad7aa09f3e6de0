import type { AuditEntry } from '../audit/events.ts';
import { noChanges } from '../database/changes.ts';
import { createApiKeyStore } from '../api-keys/api-key-store.ts';
import type { ApiKeyStore } from '../api-keys/api-key-store.ts';
import { createHoldings } from '../api-keys/holdings.ts';
import { createIssuing } from '../api-keys/issuing.ts';
import type { Issuing } from '../api-keys/issuing.ts';
import { createUsageStore } from '../api-keys/usage-store.ts';
import type { UsageStore } from '../api-keys/usage-store.ts';
import { createClientStore } from '../clients/client-store.ts';
import type { ClientStore } from '../clients/client-store.ts';
import { createEndOfConsents } from '../consents/consents-of-client-store.ts';
import { createResourceServerStore } from '../resource-servers/resource-server-store.ts';
import { apiKeySettings } from '../startup/api-key-settings.ts';
import { storedDataKeys } from '../startup/stored-data-keys.ts';
import { configurationOf, withDatabase } from './context.ts';
import type { Context } from './context.ts';
import type { Shell } from './shell.ts';

/** What commands about API keys have. */
export interface ApiKeyContext extends Context {
  apiKeys: ApiKeyStore;
  usage: UsageStore;
  issuing: Issuing;
  clients: Pick<ClientStore, 'find'>;
}

/** Opens the database for work on API keys; what was done is recorded before it is reported. */
export async function withApiKeys<T>(
  shell: Shell,
  work: (context: ApiKeyContext) => Promise<T>,
): Promise<T> {
  const { digestKey, olderDigestKeys } = storedDataKeys(configurationOf(shell));
  return withDatabase(shell, async ({ context, prisma, sql }) => {
    const { clock, configuration } = context;
    const { mode, rules } = apiKeySettings(configuration, undefined);
    const endConsents = createEndOfConsents(clock);
    const stored = { prisma, digestKey, olderDigestKeys, changes: noChanges };
    const clients = createClientStore({ ...stored, endConsents });
    const holdings = createHoldings(clients, createResourceServerStore(stored));
    const apiKeys = createApiKeyStore({ sql, prisma, digestKey, mode, clock });
    const done: AuditEntry[] = [];
    const audit = { record: (entry: AuditEntry) => void done.push(entry) };
    const issuing = createIssuing({ keys: apiKeys, holdings, rules, clock, audit });
    const usage = createUsageStore(sql);
    const result = await work({ ...context, apiKeys, usage, issuing, clients });
    for (const { actor: _actor, outcome: _outcome, ...act } of done) await context.record(act);
    return result;
  });
}
