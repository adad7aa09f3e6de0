/** Resource server identifier → scopes there. */
export type Permissions = Readonly<Record<string, readonly string[]>>;

/** Whose key it is: a client's, or the bank's own. */
export type KeyOwner =
  { readonly type: 'client'; readonly id: string } | { readonly type: 'operator' };

/** So many uses within so many seconds. */
export interface KeyLimit {
  requests: number;
  seconds: number;
}

/** What is asked of a new key. */
export interface KeyTerms {
  /** What its owner calls it. */
  name: string;
  permissions: Permissions;
  /** Networks (CIDR) from which it may be used; none for everywhere. */
  addresses: readonly string[];
  limit: KeyLimit | undefined;
  expiresAt: Date;
}

/** A key as it is kept: without the key itself. */
export interface ApiKey extends KeyTerms {
  /** For people and APIs; says nothing about the key. */
  id: string;
  /** The key's first letters, for people who compare. */
  prefix: string;
  owner: KeyOwner;
  /** "client <id>" or "operator <name>". */
  createdBy: string;
  createdAt: Date;
  revokedAt: Date | undefined;
  revokedBy: string | undefined;
  /** The key that a rotation made instead. */
  successorId: string | undefined;
}

/** Where a key is in its life; a rotated one is active until its overlap ends. */
export type KeyState = 'active' | 'expired' | 'revoked';

export function stateOf(
  { revokedAt, expiresAt }: Pick<ApiKey, 'revokedAt' | 'expiresAt'>,
  now: Date,
): KeyState {
  if (revokedAt !== undefined) return 'revoked';
  return expiresAt > now ? 'active' : 'expired';
}

/** Whether a key's end is so near that its user should be told. */
export function endsSoon({ expiresAt }: Pick<ApiKey, 'expiresAt'>, now: Date, seconds: number) {
  return expiresAt.getTime() - now.getTime() <= seconds * 1000;
}

/** One thing that is wrong with what is asked for; `path` with dots, as APIs write it. */
export interface TermsFault {
  path: string;
  message: string;
}

/** What keys may be at most. */
export interface KeyBounds {
  now: Date;
  /** What the owner holds now. */
  held: Permissions;
  /** How long a key may live. */
  maxSeconds: number;
}

/** Everything that is wrong with a new key. Nobody gets a key that is worth more than what they hold. */
export function faultsOf(terms: KeyTerms, { now, held, maxSeconds }: KeyBounds): TermsFault[] {
  const faults: TermsFault[] = [];
  for (const [resource, scopes] of Object.entries(terms.permissions)) {
    const available = Object.hasOwn(held, resource) ? (held[resource] ?? []) : [];
    const missing = scopes.filter((scope) => !available.includes(scope));
    if (scopes.length === 0 || missing.length > 0) {
      const message = `the owner does not hold ${missing.join(' ') || 'any scope'} at ${resource}`;
      faults.push({ path: 'permissions', message });
    }
  }
  if (Object.keys(terms.permissions).length === 0) {
    faults.push({ path: 'permissions', message: 'a key must be good for something' });
  }
  const ttl = (terms.expiresAt.getTime() - now.getTime()) / 1000;
  if (ttl <= 0) faults.push({ path: 'expires_at', message: 'the end must lie ahead' });
  if (ttl > maxSeconds) {
    const message = `a key lives ${String(maxSeconds)} seconds at most`;
    faults.push({ path: 'expires_at', message });
  }
  return faults;
}

/** What of `permissions` is held; resource servers without anything are left out. */
export function remainingOf(permissions: Permissions, held: Permissions): Permissions {
  const remaining = Object.entries(permissions).map(([resource, scopes]) => {
    const available = Object.hasOwn(held, resource) ? (held[resource] ?? []) : [];
    return [resource, scopes.filter((scope) => available.includes(scope))] as const;
  });
  return Object.fromEntries(remaining.filter(([, scopes]) => scopes.length > 0));
}

/** A successor lives as long as its predecessor was meant to, if nobody says otherwise. */
export function successorEnd(
  { createdAt, expiresAt }: Pick<ApiKey, 'createdAt' | 'expiresAt'>,
  { now, maxSeconds }: Pick<KeyBounds, 'now' | 'maxSeconds'>,
): Date {
  const ttlMs = Math.min(expiresAt.getTime() - createdAt.getTime(), maxSeconds * 1000);
  return new Date(now.getTime() + ttlMs);
}
