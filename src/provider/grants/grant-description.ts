import type { Consents } from '../ports.ts';
import type { EngineGrant } from './managed-id.ts';
import type { StandingGrant } from './standing-grant.ts';

/** The answer to a query ("Query Status of a Grant"), with `consent_ids` as an element of our own. */
export interface GrantDescription {
  scopes: { scope: string; resource?: string[] }[];
  claims: string[];
  authorization_details: Record<string, unknown>[];
  consent_ids: string[];
  /** NumericDates. */
  created_at: number;
  last_updated: number;
  expires_at: number;
  updated_by: 'client';
}

/** What a grant gives at this moment; undefined where nothing of it stands any more. */
export function describeGrant(
  { managed, members }: StandingGrant,
  consents: Pick<Consents, 'isId'>,
): GrantDescription | undefined {
  if (members.length === 0) return undefined;
  return {
    scopes: scopesOf(members),
    claims: [...new Set(members.flatMap(({ openid }) => openid?.claims ?? []))],
    authorization_details: members.flatMap(({ rar }) => rar ?? []),
    consent_ids: members.map(({ jti }) => jti).filter((id) => consents.isId(id)),
    created_at: seconds(managed.createdAt),
    last_updated: seconds(managed.updatedAt),
    expires_at: Math.max(...members.map(({ exp }) => exp ?? 0)),
    updated_by: 'client',
  };
}

/** By resource server; OpenID scopes belong to none. */
function scopesOf(members: readonly EngineGrant[]): GrantDescription['scopes'] {
  const openid = members.flatMap(({ openid: allowed }) => namesIn(allowed?.scope));
  const byResource = new Map<string, string[]>();
  for (const [resource, scope] of members.flatMap(({ resources }) =>
    Object.entries(resources ?? {}),
  )) {
    byResource.set(resource, [...(byResource.get(resource) ?? []), ...namesIn(scope)]);
  }
  return [
    ...(openid.length === 0 ? [] : [{ scope: textOf(openid) }]),
    ...[...byResource].map(([resource, names]) => ({ scope: textOf(names), resource: [resource] })),
  ];
}

/** The scopes of a text. */
export const namesIn = (scope: string | undefined): string[] =>
  scope?.split(' ').filter((name) => name !== '') ?? [];

const textOf = (names: readonly string[]): string => [...new Set(names)].join(' ');

const seconds = (at: Date): number => Math.floor(at.getTime() / 1000);
