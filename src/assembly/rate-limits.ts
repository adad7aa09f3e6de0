import type { AuditTrail } from '../audit/trail.ts';
import { createReminder } from '../observability/reminder.ts';
import { currentRequest } from '../observability/request-context.ts';
import { registrationPath, grantsPath, routes } from '../provider/routes.ts';
import type { Excess, Limits } from '../provider/ports.ts';
import { createGroups } from '../rate-limits/groups.ts';
import { excessOf, limitRequests } from '../rate-limits/limit-step.ts';
import { createLimitedRequests } from '../rate-limits/limited-requests.ts';
import { createLimiter } from '../rate-limits/limiter.ts';
import type { Limiter } from '../rate-limits/limiter.ts';
import { createPostgresLimitStore } from '../rate-limits/postgres-limit-store.ts';
import type { LimitStore } from '../rate-limits/limit-store.ts';
import type { RedisOptions } from '../rate-limits/redis-limit-store.ts';
import { createRequestLimits } from '../rate-limits/request-limits.ts';
import type { Judged } from '../rate-limits/request-limits.ts';
import type { EndpointGroup } from '../rate-limits/policy.ts';
import type { AppDependencies, AppSettings } from './settings.ts';

/** A few hundred bytes each. */
const maxSubjects = 100_000;

/** A quarter of a second gathers what a batch is worth; a store that needs a whole one is as good as away. */
const rhythm = { tellMs: 250, patienceMs: 1000, retryMs: 1000 } as const;

/** Below them everything belongs to the group; what is nowhere here is a page. */
const groups = createGroups({
  [routes.authorization]: 'authorization',
  [routes.pushed_authorization_request]: 'pushed-authorization',
  [routes.token]: 'token',
  [routes.introspection]: 'introspection',
  [routes.revocation]: 'revocation',
  [routes.userinfo]: 'userinfo',
  [routes.jwks]: 'metadata',
  '/.well-known': 'metadata',
  [registrationPath]: 'registration',
  [grantsPath]: 'grants',
  '/consents': 'consents',
  '/open-banking': 'consents',
  '/api-keys': 'api-keys',
  '/events': 'events',
  '/assets': undefined, // files that every page needs, from memory
  '/edge': undefined, // counts for whom it is asked about
});

/** The rate limits: the limiter, the policy's rules for requests, the step that asks them, and what the engine asks. */
export async function createRateLimits(
  settings: Pick<AppSettings, 'rateLimits' | 'digestKey'>,
  deps: Pick<AppDependencies, 'database' | 'clock' | 'logger' | 'metrics'>,
  audit: Pick<AuditTrail, 'record'>,
) {
  const limiter = await limiterOf(settings, deps);
  const isNews = createReminder(deps.clock);

  function onRefusal(refusedBy: Judged, group: EndpointGroup): void {
    const error = excessOf(refusedBy);
    deps.metrics.refusals.increment({ endpoint: group, error });
    if (error !== 'too_many_requests') return; // the store is away, and nobody exceeded anything
    const { rule, subject } = refusedBy;
    if (!isNews(`${rule.name} ${subject}`, rule.windowSeconds * 1000)) return;
    audit.record({
      ...{ type: 'rate_limit.exceeded', outcome: 'refused' },
      ...partiesOf({ rule, subject }),
      detail: { rule: rule.name, per: rule.per, group },
    });
  }

  const requests = createRequestLimits(settings.rateLimits.policy, limiter, onRefusal);
  const limited = createLimitedRequests(requests);
  return {
    limiter,
    requests,
    limited,
    step: limitRequests({ requests: limited, groupOf: groups }),
    engine: engineLimits(limited),
    close: () => limiter.close(),
  };
}

/** The rate limits, put together. */
export type RateLimits = Awaited<ReturnType<typeof createRateLimits>>;

function partiesOf({ rule, subject }: Pick<Judged, 'rule' | 'subject'>) {
  switch (rule.per) {
    case 'client':
      return { actor: { type: 'client', id: subject } as const, clientId: subject };
    case 'customer':
      return { actor: { type: 'customer', id: subject } as const, customerId: subject };
    case 'address':
    case 'api-key':
    case 'everyone':
      return { actor: { type: 'client' } as const };
  }
}

async function limiterOf(
  { rateLimits: { store }, digestKey }: Pick<AppSettings, 'rateLimits' | 'digestKey'>,
  { database, clock, logger }: Pick<AppDependencies, 'database' | 'clock' | 'logger'>,
): Promise<Limiter> {
  if (store.kind === 'memory') return createLimiter({ clock, maxSubjects });
  const shared =
    store.kind === 'redis'
      ? await redisLimitStore({ url: store.url, retryMs: rhythm.retryMs, logger })
      : createPostgresLimitStore(database.sql);
  return createLimiter({
    clock,
    maxSubjects,
    shared: {
      ...rhythm,
      store: shared,
      digestKey,
      onStore(isUp, error) {
        if (isUp) logger.info('Rate limits are counted together again');
        else logger.warn('Rate limits are counted by this process alone', { error });
      },
    },
  });
}

/** Its client is a quarter of all modules that a start reads: for those who use it. */
async function redisLimitStore(options: RedisOptions): Promise<LimitStore> {
  const { createRedisLimitStore } = await import('../rate-limits/redis-limit-store.ts');
  return createRedisLimitStore(options);
}

function engineLimits(limited: ReturnType<typeof createLimitedRequests>): Limits {
  const excess = (refusedBy: Judged | undefined): Excess | undefined =>
    refusedBy && excessOf(refusedBy);
  return {
    excess(kind, id) {
      const said = limited.name(currentRequest(), kind, id);
      return said instanceof Promise ? said.then(excess) : excess(said);
    },
  };
}
