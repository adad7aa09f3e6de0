import type { Clock } from '../../clock.ts';
import type { ResourceServers } from '../ports.ts';
import { describeAccess } from './described-access.ts';
import type { Access, BareAccess } from './described-access.ts';
import { namesIn } from './grant-description.ts';
import type { OpenedGrant, ScopeGrantStore } from './scope-grant-store.ts';

/** A client to which a customer gave access by scopes alone, without a consent object. */
export interface AllowedApp {
  /** Names it in addresses. */
  reference: string;
  clientId: string;
  since: Date;
  until: Date;
  access: Access;
}

/** The clients that customers allowed without a consent, for the pages on which they see and end that (ASVS 10.7.3). */
export interface AllowedApps {
  listOf(customerId: string): Promise<AllowedApp[]>;
  /**
   * Ends it with every code and token, on every process at once; undefined where there is nothing (any more) of this customer,
   * and for all but one of several calls at once.
   */
  end(
    customerId: string,
    reference: string,
  ): Promise<{ clientId: string; count: number } | undefined>;
}

interface Dependencies {
  store: ScopeGrantStore;
  resourceServers: Pick<ResourceServers, 'find'>;
  clock: Clock;
}

/** Consents' own grants are none of these. */
export function createAllowedApps({ store, resourceServers, clock }: Dependencies): AllowedApps {
  return {
    async listOf(customerId) {
      const held = await store.listOf(customerId, clock.now());
      return Promise.all(
        held.map(async ({ grants, ...app }) => ({
          ...app,
          access: await describeAccess(accessOf(grants), resourceServers),
        })),
      );
    },

    end: (customerId, reference) => store.end(customerId, reference),
  };
}

/** What all of them give together. */
function accessOf(grants: readonly OpenedGrant[]): BareAccess {
  const resources = new Map<string, Set<string>>();
  for (const [resource, scopes] of grants.flatMap((grant) =>
    Object.entries(grant.resources ?? {}),
  )) {
    const names = namesIn(scopes);
    if (names.length > 0)
      resources.set(resource, new Set([...(resources.get(resource) ?? []), ...names]));
  }
  return {
    openidScopes: [...new Set(grants.flatMap(({ openid }) => namesIn(openid?.scope)))],
    claims: grants.flatMap(({ openid }) => openid?.claims ?? []),
    resources: Object.fromEntries(
      [...resources].map(([resource, names]) => [resource, [...names]]),
    ),
  };
}
