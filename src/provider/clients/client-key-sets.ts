import type Provider from 'oidc-provider';
import type { Client } from 'oidc-provider';
import { epochSeconds, systemClock } from '../../clock.ts';
import type { Clock } from '../../clock.ts';
import type { Logger } from '../../observability/logger.ts';

/** oidc-provider's key set of a client (lib/models/client.js), of which its types say nothing. */
interface ClientKeySet {
  readonly jwksUri: string | undefined;
  /** Set by a fetch: seconds since 1970 by the machine's clock, from the answer's headers and 60 s at least. */
  freshUntil?: number;
  fresh(): boolean;
  refresh(): Promise<void>;
  selectForVerify(options: object): unknown[];
}

interface Dependencies {
  readonly clock: Clock;
  readonly logger: Pick<Logger, 'warn'>;
}

/** Seconds that a key set is kept at least, also when a signature names a key that is not in it. */
const floorSeconds = 60;
/** Seconds after which a key that the client took back is no longer accepted, whatever its server said. */
const ceilingSeconds = 3600;
/** Seconds between two attempts while the client's server is away. */
const retrySeconds = 10;

/**
 * Bounds how long the keys behind a client's jwks_uri are used. By itself oidc-provider believes any max-age, verifies
 * with keys that are out of date as long as the signature fits, and does not look again for a key that it does not know.
 */
export function boundKeySets(provider: Provider, deps: Dependencies): void {
  const bounded = new WeakSet<Client>();
  const find = provider.Client.find.bind(provider.Client);

  Object.assign(provider.Client, {
    async find(id: string): Promise<Client | undefined> {
      const client = await find(id);
      if (client?.jwksUri === undefined || bounded.has(client)) return client;
      bounded.add(client);
      const { asymmetricKeyStore } = client as unknown as { asymmetricKeyStore: ClientKeySet };
      boundKeySet(asymmetricKeyStore, client.clientId, deps);
      return client;
    },
  });
}

function boundKeySet(keys: ClientKeySet, clientId: string, { clock, logger }: Dependencies): void {
  const fetchKeys = keys.refresh.bind(keys);
  const select = keys.selectForVerify.bind(keys);
  const now = () => epochSeconds(clock);
  const times = { freshUntil: 0, fetchedAt: -ceilingSeconds, retryAt: 0 };
  let failure: unknown;

  function keepUntil(): number {
    const seconds = (keys.freshUntil ?? 0) - epochSeconds(systemClock);
    return now() + Math.min(Math.max(seconds, floorSeconds), ceilingSeconds);
  }

  /** The keys of before go on to count, but no longer than the ceiling. */
  function carryOn(): void {
    if (now() >= times.fetchedAt + ceilingSeconds) throw failure;
    times.freshUntil = times.retryAt;
  }

  async function refresh(): Promise<void> {
    if (keys.fresh()) return;
    if (now() < times.retryAt) {
      carryOn();
      return;
    }
    try {
      await fetchKeys();
      [times.fetchedAt, times.freshUntil] = [now(), keepUntil()];
    } catch (error) {
      [failure, times.retryAt] = [error, now() + retrySeconds];
      carryOn();
      logger.warn("A client's keys can't be fetched: those of before count", { clientId, error });
    }
  }

  Object.assign(keys, {
    fresh: () => now() < times.freshUntil,
    refresh,
    /** Where nothing is found, oidc-provider asks for fresh keys and tries again, provided that these are stale. */
    selectForVerify(options: object): unknown[] {
      if (!keys.fresh()) return [];
      const found = select(options);
      const mayAskAgain = now() >= Math.max(times.fetchedAt + floorSeconds, times.retryAt);
      if (found.length === 0 && mayAskAgain) times.freshUntil = 0;
      return found;
    },
  });
}
