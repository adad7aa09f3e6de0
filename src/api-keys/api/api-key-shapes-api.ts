import { z } from 'zod';
import type { ApiKey, KeyTerms } from '../api-key.ts';
import { stateOf } from '../api-key.ts';
import type { ListedKey } from '../api-key-store.ts';
import { isNetwork } from '../key-addresses.ts';
import type { DayOfUsage } from '../usage-store.ts';
import type { KeyVerdict } from '../verification.ts';

/** Text that people read: nothing hidden in it, and no key that was pasted into the wrong field. */
const name = z
  .string()
  .min(1)
  .max(100)
  .regex(/^(?!.*ck_(?:live|test)_)[\p{L}\p{N}\p{P}\p{S} ]+$/u);
const scope = z
  .string()
  .min(1)
  .max(100)
  .regex(/^[\x21\x23-\x5B\x5D-\x7E]+$/);
const permissions = z.record(z.string().min(1).max(500), z.array(scope).min(1).max(50));
const dateTime = z.iso.datetime({ offset: true });
const network = z.string().max(49).refine(isNetwork, 'must be an address or a network as CIDR');
const limit = z.strictObject({
  requests: z.int().min(1).max(1_000_000),
  seconds: z.int().min(1).max(86_400),
});
const id = z.uuid();

const fewer = (most: number) => (value: object) => Object.keys(value).length <= most;

/** POST /keys. */
export const creationRequest = z.strictObject({
  name,
  permissions: permissions.refine(fewer(20), 'must name 20 resource servers at most'),
  expires_at: dateTime,
  rate_limit: limit.optional(),
  addresses: z.array(network).max(50).optional(),
});

/** POST /keys/{id}/rotate. */
export const rotationRequest = z.strictObject({
  overlap_seconds: z.int().min(0).max(2_592_000),
  expires_at: dateTime.optional(),
});

/** POST /verify. */
export const verificationRequest = z.strictObject({
  key: z.string().max(1024),
  /** The address that the key came from. */
  address: z.union([z.ipv4(), z.ipv6()]).optional(),
});

const keyShape = z.strictObject({
  id,
  prefix: z.string(),
  name,
  permissions,
  status: z.enum(['active', 'expired', 'revoked']),
  created_at: dateTime,
  expires_at: dateTime,
  last_used_at: dateTime.optional(),
  revoked_at: dateTime.optional(),
  successor: id.optional(),
  rate_limit: limit.optional(),
  addresses: z.array(z.string()),
});

/** A key as its owner sees it. */
export const keyResponse = keyShape;

/** A new key: `key` is there the first time only. */
export const newKeyResponse = keyShape.extend({ key: z.string().optional() });

export const keyListResponse = z.strictObject({
  keys: z.array(keyShape),
  /** For `after`; absent at the end. */
  next: id.optional(),
});

const day = z.strictObject({
  day: z.iso.date(),
  resource_server: z.string(),
  accepted: z.int(),
  refused: z.int(),
  last_used_at: dateTime.optional(),
});

export const usageResponse = z.strictObject({ days: z.array(day) });

const limitNow = limit.extend({ remaining: z.int(), reset_seconds: z.int() });

/** What resource servers are told: `active` alone for every key that is no good, whatever is wrong with it. */
export const verificationResponse = z.strictObject({
  active: z.boolean(),
  id: id.optional(),
  name: name.optional(),
  owner: z
    .strictObject({ type: z.enum(['client', 'operator']), client_id: z.string().optional() })
    .optional(),
  scopes: z.array(scope).optional(),
  expires_at: dateTime.optional(),
  ends_soon: z.boolean().optional(),
  successor: id.optional(),
  rate_limit: limitNow.optional(),
});

export const problemResponse = z.strictObject({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  code: z.string(),
  reference: z.string(),
  errors: z.array(z.strictObject({ path: z.string(), detail: z.string() })).optional(),
});

/** What a request asks for, in the slice's words. */
export function termsOf(request: z.infer<typeof creationRequest>): KeyTerms {
  const { name: called, addresses = [], rate_limit: asked, expires_at: end } = request;
  const held = Object.entries(request.permissions).map(
    ([resource, scopes]) => [resource, [...new Set(scopes)]] as const,
  );
  return {
    name: called,
    permissions: Object.fromEntries(held),
    addresses,
    limit: asked,
    expiresAt: new Date(end),
  };
}

export function keyBody(
  key: ApiKey & Partial<Pick<ListedKey, 'lastUsedAt'>>,
  now: Date,
): z.infer<typeof keyShape> {
  return {
    ...{ id: key.id, prefix: key.prefix, name: key.name },
    permissions: mutable(key.permissions),
    status: stateOf(key, now),
    created_at: key.createdAt.toISOString(),
    expires_at: key.expiresAt.toISOString(),
    last_used_at: key.lastUsedAt?.toISOString(),
    revoked_at: key.revokedAt?.toISOString(),
    successor: key.successorId,
    rate_limit: key.limit,
    addresses: [...key.addresses],
  };
}

function mutable(given: ApiKey['permissions']): Record<string, string[]> {
  return Object.fromEntries(Object.entries(given).map(([one, scopes]) => [one, [...scopes]]));
}

export function usageBody(days: readonly DayOfUsage[]): z.infer<typeof usageResponse> {
  return {
    days: days.map(({ day: date, resourceServer, accepted, refused, lastUsedAt }) => ({
      ...{ day: date, resource_server: resourceServer, accepted, refused },
      last_used_at: lastUsedAt?.toISOString(),
    })),
  };
}

export function verificationBody(verdict: KeyVerdict): z.infer<typeof verificationResponse> {
  if (verdict.outcome === 'refused') return { active: false };
  const { key } = verdict;
  const rate_limit = key.limit && {
    ...{ requests: key.limit.requests, seconds: key.limit.seconds },
    remaining: key.limit.remaining,
    reset_seconds: key.limit.resetSeconds,
  };
  if (verdict.outcome === 'limited') return { active: false, rate_limit };
  const { owner } = key;
  return {
    active: true,
    ...{ id: key.id, name: key.name, scopes: [...key.scopes] },
    owner: owner.type === 'client' ? { type: 'client', client_id: owner.id } : { type: 'operator' },
    expires_at: key.expiresAt.toISOString(),
    ends_soon: key.endsSoon,
    successor: key.successorId,
    rate_limit,
  };
}
