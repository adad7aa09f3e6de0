import { createLocalJWKSet, errors } from 'jose';
import type { JSONWebKeySet, JWTVerifyGetKey } from 'jose';
import type { Issuer } from './issuer.ts';
import { Unavailable } from './refusal.ts';

interface Dependencies {
  issuer: Issuer;
  /** Instead of the one that discovery tells. */
  keySetUrl: string | undefined;
  staleKeysSeconds: number;
  now: () => Date;
}

interface Held {
  find: JWTVerifyGetKey;
  at: number;
  maxAgeMs: number;
}

/** An unknown `kid` has keys fetched anew no more often than this, or anybody could have us flood the issuer. */
const cooldownMs = 30_000;
/** How soon after a failure the issuer is asked again. */
const retryMs = 5000;
/** Bounds of what `Cache-Control` may say; 5 minutes where it says nothing. */
const maxAge = { least: 30, most: 86_400, usual: 300 };

/**
 * The issuer's keys: fetched at the first use, again when `Cache-Control` says so, and when a token names an unknown one. While
 * the issuer is down, or hangs, they serve on for a while, and nobody waits for it again until it answers. Rejects with {@link Unavailable} without any, and with jose's errors for
 * keys that are not there.
 */
export function createKeySet(deps: Dependencies): JWTVerifyGetKey {
  const { staleKeysSeconds } = deps;
  const now = () => deps.now().getTime();
  let held: Held | undefined;
  /** When the last answer came, or was waited for no longer. */
  let tried: { at: number; failure: unknown } | undefined;
  let loading: Promise<void> | undefined;

  async function load(): Promise<void> {
    const at = now();
    try {
      held = { ...(await fetchKeys(deps)), at };
      tried = { at: now(), failure: undefined };
    } catch (failure) {
      tried = { at: now(), failure };
    }
  }

  /** Never rejects; `tried` says how it went. */
  function refresh(): Promise<void> {
    loading ??= load().finally(() => (loading = undefined));
    return loading;
  }

  const isWithin = (at: number, ms: number) => Math.abs(now() - at) < ms;
  const isResting = (ms: number) => tried !== undefined && isWithin(tried.at, ms);

  /** Also keys that should have been fetched anew. */
  function usable(): Held | undefined {
    if (held === undefined) return undefined;
    return isWithin(held.at, held.maxAgeMs + staleKeysSeconds * 1000) ? held : undefined;
  }

  async function current(): Promise<Held> {
    if (held !== undefined && isWithin(held.at, held.maxAgeMs)) return held;
    const isDown = tried?.failure !== undefined;
    const refreshed = isDown && isResting(retryMs) ? undefined : refresh();
    const lasting = isDown ? usable() : undefined;
    if (lasting !== undefined) return lasting;
    await refreshed;
    const keys = usable();
    if (keys !== undefined) return keys;
    throw new Unavailable('the keys of the issuer can not be fetched', tried?.failure);
  }

  return async function keyOf(header, token) {
    const { find } = await current();
    try {
      return await find(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      if (!isResting(cooldownMs)) await refresh();
      // Whether the key exists is then not known: the token may well be good.
      if (tried?.failure !== undefined) throw new Unavailable('keys: no answer', tried.failure);
      const { find: findAgain } = await current();
      return findAgain(header, token);
    }
  };
}

async function fetchKeys({ issuer, keySetUrl }: Dependencies): Promise<Omit<Held, 'at'>> {
  const url = keySetUrl ?? (await issuer.metadata()).jwks_uri;
  const { status, body, headers } = await issuer.ask(url);
  if (status !== 200 || body === undefined) throw new Unavailable(`${url}: ${String(status)}`);
  return {
    find: createLocalJWKSet(body as unknown as JSONWebKeySet), // throws for anything else
    maxAgeMs: maxAgeSeconds(headers.get('cache-control')) * 1000,
  };
}

function maxAgeSeconds(cacheControl: string | null): number {
  const told = /(?:^|[\s,])max-age=(\d{1,9})(?:$|[\s,])/i.exec(cacheControl ?? '')?.[1];
  if (told === undefined) return maxAge.usual;
  return Math.min(Math.max(Number(told), maxAge.least), maxAge.most);
}
