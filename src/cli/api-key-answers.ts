import { stateOf } from '../api-keys/api-key.ts';
import type { ApiKey } from '../api-keys/api-key.ts';
import type { ListedKey } from '../api-keys/api-key-store.ts';
import type { DayOfUsage } from '../api-keys/usage-store.ts';
import { fields, table } from './output.ts';
import type { Answer } from './output.ts';

/** Keys, a line each. */
export function apiKeyList(keys: readonly ListedKey[], now: Date): Answer {
  const rows = keys.map((key) => [
    ...[key.id, key.prefix, key.name, ownerOf(key), stateOf(key, now)],
    ...[endOf(key).toISOString(), key.lastUsedAt?.toISOString() ?? 'never'],
  ]);
  const header = ['ID', 'PREFIX', 'NAME', 'OWNER', 'STATE', 'UNTIL', 'LAST USED'];
  return { json: { apiKeys: keys.map((key) => asJson(key, now)) }, text: table(header, rows) };
}

/** One key with all that is known of it. */
export function apiKeyDetails(key: ListedKey, now: Date): Answer {
  const permissions = Object.entries(key.permissions).map(
    ([resource, scopes]) => [`good for ${resource}`, scopes.join(' ')] as const,
  );
  const text = fields({
    ...{ id: key.id, prefix: key.prefix, name: key.name, owner: ownerOf(key) },
    state: stateOf(key, now),
    ...Object.fromEntries(permissions),
    limit: key.limit && `${String(key.limit.requests)} in ${String(key.limit.seconds)} s`,
    addresses: key.addresses.length === 0 ? undefined : key.addresses,
    'made by': key.createdBy,
    made: key.createdAt,
    until: key.expiresAt,
    'last used': key.lastUsedAt,
    revoked: key.revokedAt,
    'revoked by': key.revokedBy,
    successor: key.successorId,
  });
  return { json: { apiKey: asJson(key, now) }, text };
}

/** A key was made: it is shown here and never again. */
export function apiKeyMade(key: ApiKey, secret: string, now: Date): Answer {
  const until = key.expiresAt.toISOString();
  return {
    json: { apiKey: asJson(key, now), key: secret },
    text: `The key ${key.id} is made, and works until ${until}.\nIt is shown this once; only a digest is kept:\n${secret}`,
  };
}

/** A key was ended. */
export function apiKeyRevoked(key: ApiKey, now: Date): Answer {
  return { json: { apiKey: asJson(key, now) }, text: `The key ${key.id} is revoked.` };
}

/** How often a key was used, a day and resource server a line. */
export function apiKeyUsage(days: readonly DayOfUsage[]): Answer {
  const rows = days.map(({ day, resourceServer, accepted, refused, lastUsedAt }) => [
    ...[day, resourceServer, String(accepted), String(refused)],
    lastUsedAt?.toISOString() ?? '',
  ]);
  const header = ['DAY', 'RESOURCE SERVER', 'ACCEPTED', 'REFUSED', 'LAST'];
  const json = days.map(({ lastUsedAt, ...day }) => ({
    ...day,
    lastUsedAt: lastUsedAt?.toISOString(),
  }));
  return { json: { days: json }, text: table(header, rows) };
}

/** When it ended or will end. */
function endOf({ revokedAt, expiresAt }: ApiKey): Date {
  return revokedAt !== undefined && revokedAt < expiresAt ? revokedAt : expiresAt;
}

function ownerOf({ owner }: ApiKey): string {
  return owner.type === 'client' ? owner.id : '(operator)';
}

function asJson(key: ApiKey & Partial<Pick<ListedKey, 'lastUsedAt'>>, now: Date) {
  const { id, prefix, name, owner, permissions, addresses, limit, createdBy, successorId } = key;
  return {
    ...{ id, prefix, name, owner, state: stateOf(key, now), permissions, addresses, limit },
    ...{ createdBy, successorId, revokedBy: key.revokedBy },
    createdAt: key.createdAt.toISOString(),
    expiresAt: key.expiresAt.toISOString(),
    lastUsedAt: key.lastUsedAt?.toISOString(),
    revokedAt: key.revokedAt?.toISOString(),
  };
}
