import type Koa from 'koa';
import { createApiKeyApi } from '../api-keys/api/api-key-api.ts';
import { keyHandlers } from '../api-keys/api/api-key-handlers-api.ts';
import { createVerificationAnswer } from '../api-keys/api/api-key-verify-api.ts';
import type { KeyLimit } from '../api-keys/api-key.ts';
import type { AdmitUse } from '../api-keys/api-key-ports.ts';
import { createApiKeyStore } from '../api-keys/api-key-store.ts';
import type { ApiKeyStore } from '../api-keys/api-key-store.ts';
import { createEndingKeys } from '../api-keys/ending-keys.ts';
import { createHoldings } from '../api-keys/holdings.ts';
import { createIssuing } from '../api-keys/issuing.ts';
import { createKeyMemory } from '../api-keys/key-memory-store.ts';
import { createUsageCounter } from '../api-keys/usage-counter.ts';
import type { UsageCounter } from '../api-keys/usage-counter.ts';
import { createUsageStore } from '../api-keys/usage-store.ts';
import { createVerification } from '../api-keys/verification.ts';
import type { Limiter } from '../rate-limits/limiter.ts';
import type { Rule } from '../rate-limits/rule.ts';
import { createClientAccess } from '../security/client-access.ts';
import { clientTokens } from './client-tokens.ts';
import type { Parts } from './parts.ts';
import { createServerAuthentication } from './resource-server-authentication.ts';
import { servedClients } from './served-clients.ts';
import type { AppDependencies, AppSettings } from './settings.ts';
import type { Storage } from './storage.ts';

/** Uses are written together this often; a crash loses what was counted since. */
const usageIntervalMs = 5000;

/** Warnings are for days ahead. */
const endingIntervalMs = 60_000;

/** API keys: what makes and verifies them, and counts their use. */
export function createApiKeys(
  settings: AppSettings,
  { storage, limiter, ...deps }: AppDependencies & { storage: Storage; limiter: Limiter },
) {
  const { mode, warningSeconds, rules } = settings.apiKeys;
  const { sql, prisma } = deps.database;
  const { clock, logger, metrics } = deps;
  const { audit } = storage;
  const holdings = createHoldings(servedClients(settings, storage), storage.resourceServers);
  const usage = createUsageStore(sql);
  const keys = createApiKeyStore({ sql, prisma, digestKey: settings.digestKey, mode, clock });
  const counter = createUsageCounter({ store: usage, logger, intervalMs: usageIntervalMs });
  const verify = createVerification({
    ...{ mode, holdings, audit, clock, warningSeconds },
    memory: createKeyMemory({ sql, ...settings, changes: deps.changes }),
    admit: admitBy(limiter),
    usage: counter,
    onOutcome(outcome) {
      metrics.apiKeyVerifications.increment({ outcome });
    },
  });
  const issuing = createIssuing({ keys, holdings, rules, clock, audit });
  return { keys, usage, verify, issuing, ...endless(settings, { ...deps, keys, audit, counter }) };
}

/** What goes on while nobody asks. */
function endless(
  { apiKeys: { warningSeconds } }: AppSettings,
  deps: Pick<AppDependencies, 'logger' | 'metrics'> & {
    keys: ApiKeyStore;
    audit: Storage['audit'];
    counter: UsageCounter;
  },
) {
  const { counter, metrics } = deps;
  const ending = createEndingKeys({
    ...{ ...deps, warningSeconds, intervalMs: endingIntervalMs },
    onEnding() {
      metrics.apiKeysEnding.increment({});
    },
  });
  return {
    start() {
      counter.start();
      ending.start();
    },
    /** Writes what was counted. */
    flush: () => counter.flush(),
    /** The same for the last time. */
    async stop() {
      await ending.stop();
      await counter.stop();
    },
  };
}

/** API keys, put together. */
export type ApiKeys = ReturnType<typeof createApiKeys>;

/** Each key's own limit, as a rule of the limiter. */
function admitBy(limiter: Limiter): AdmitUse {
  const rules = new WeakMap<KeyLimit, Rule>();
  return (keyId, limit) => {
    const rule: Rule = rules.get(limit) ?? {
      ...{ name: 'api-key', algorithm: 'token-bucket' },
      ...{ limit: limit.requests, windowSeconds: limit.seconds },
    };
    rules.set(limit, rule);
    return limiter.admit(rule, keyId);
  };
}

/** The API of keys for their owners and for resource servers. */
export function apiKeyApi(
  settings: AppSettings,
  {
    apiKeys,
    storage,
    engine,
    limits,
    certificates,
    clock,
  }: Parts & AppDependencies & { apiKeys: ApiKeys },
): Koa.Middleware {
  const { mtlsOrigin } = settings;
  const { resource } = settings.apiKeys;
  const { keys, issuing, usage, verify } = apiKeys;
  const findClientToken = clientTokens(settings, { storage, engine, limits });
  return createApiKeyApi({
    audit: storage.audit,
    authorize: createClientAccess({ findClientToken, resource }),
    certificateOf: (request) => certificates.of(request),
    handlers: keyHandlers({ mtlsOrigin, keys, issuing, usage, clock }),
    answerVerification: createVerificationAnswer({
      authenticate: createServerAuthentication(storage, certificates),
      verify,
    }),
  });
}
