import type Koa from 'koa';
import type { AuditEntry } from '../audit/events.ts';
import { createAccessEndings } from '../edge/access-ended-store.ts';
import { createEdge } from '../edge/decision.ts';
import { createEdgeStep } from '../edge/edge-api.ts';
import type { Admit, Subjects } from '../edge/edge-ports.ts';
import { createNonces } from '../edge/resource-server/dpop-nonce.ts';
import { createTokenMemory } from '../edge/token-memory.ts';
import type { TokenMemory } from '../edge/token-memory.ts';
import { createAccessTokens } from '../provider/tokens/access-tokens.ts';
import type { RequestLimits } from '../rate-limits/request-limits.ts';
import { networkOf } from '../security/network-of.ts';
import { keyedDigest } from '../security/secrets.ts';
import type { ApiKeys } from './api-keys.ts';
import { endsAccess } from './edge-endings.ts';
import type { Parts } from './parts.ts';
import type { RateLimits } from './rate-limits.ts';
import { servedClients } from './served-clients.ts';
import type { AppDependencies, AppSettings } from './settings.ts';

type EdgeParts = AppDependencies & Parts & { apiKeys: ApiKeys; limits: RateLimits };

/** The step that answers proxies; none without a policy. */
export function edgeSteps(settings: AppSettings, parts: EdgeParts): Koa.Middleware[] {
  const { edge: policy, digestKey, dpopNonceRequired } = settings;
  const { storage, certificates, clock, metrics, apiKeys, limits } = parts;
  if (policy === undefined) return [];
  const tokens = tokensOf(settings, parts);
  // Derived, as those of the engine, and not the same.
  const secret = keyedDigest(digestKey, 'edge-dpop-nonce', '');
  const nonces = dpopNonceRequired ? createNonces(secret, () => clock.now()) : undefined;
  const decide = createEdge({
    ...{ policy, nonces, clock },
    findToken: (token) => tokens.find(token),
    verifyKey: apiKeys.verify,
    admit: admitBy(limits.requests),
    firstUse: (use) => storage.singleUse.firstUse(use),
  });
  const step = createEdgeStep({
    ...{ policy, decide, nonces },
    async certificateOf(request) {
      // The proxy's host need not be ours; what it tells of certificates counts all the same.
      await certificates.prepare(request, 'mtls');
      return certificates.of(request);
    },
    onDecision(outcome) {
      metrics.edgeDecisions.increment({ outcome });
    },
  });
  return [step];
}

/** Tokens by the server's own keys, stores and rules; forgotten when any process ends something or changes a client. */
function tokensOf(
  settings: AppSettings,
  { storage, engine, database, changes, clock }: EdgeParts,
): TokenMemory {
  const { customers, audit } = storage;
  const find = createAccessTokens(() => engine.current(), {
    clients: servedClients(settings, storage),
    async isCustomerActive(id) {
      return (await customers.find(id))?.status === 'active';
    },
  });
  const tokens = createTokenMemory(find, clock);
  const accessEndings = createAccessEndings(database.sql, changes);
  audit.subscribe(({ type }: AuditEntry) => {
    if (!endsAccess(type)) return;
    tokens.forget();
    accessEndings.announce();
  });
  accessEndings.subscribe(() => {
    tokens.forget();
  });
  for (const topic of ['clients', 'resource-servers', 'signing-keys'] as const) {
    changes.subscribe(topic, () => {
      tokens.forget();
    });
  }
  return tokens;
}

/** By the rules for the group `edge`: everyone and the address first, the others once they are known. */
function admitBy(requests: RequestLimits): Admit {
  const subjectsOf = (subjects: Subjects) =>
    'address' in subjects
      ? { address: networkOf(subjects.address), everyone: '' }
      : {
          client: subjects.client,
          customer: subjects.customer,
          'api-key': subjects.apiKey,
        };

  return async function admit(subjects) {
    const { judged, refusedBy } = await requests.admit('edge', subjectsOf(subjects));
    return {
      allowed: refusedBy === undefined,
      resetSeconds: refusedBy?.verdict.resetSeconds ?? 0,
      unavailable: refusedBy?.verdict.unavailable ?? false,
      succeeded() {
        requests.giveBack(judged.filter(({ rule }) => rule.counts === 'failures'));
      },
    };
  };
}
