import type { Client, KoaContextWithOIDC } from 'oidc-provider';
import { errors } from 'oidc-provider';
import type { Consents, NamedConsent } from '../ports.ts';
import { consentScopePrefix, resourceScopesAmong } from './resources.ts';

/** The claim by which UK requests name a consent, and by which ID tokens echo it. */
export const intentClaim = 'openbanking_intent_id';

/** What one request says about consents. */
export interface ConsentNaming {
  /** The consent that the request names, in whatever way. */
  consentId: string | undefined;
  /** A consent that the request itself asks for (RFC 9396). */
  detail: Readonly<Record<string, unknown>> | undefined;
}

/** Parameters of an authorization request. */
export type Parameters = Readonly<Record<string, unknown>>;

/**
 * What an authorization request says about consents: by claim, scope or authorization details. InvalidRequest where it
 * names more than one.
 */
export function consentNaming(parameters: Parameters): ConsentNaming {
  const details = detailsIn(parameters);
  const ids = new Set([
    ...idsInClaims(parameters['claims']),
    ...idsInScope(parameters['scope']),
    ...details.flatMap(({ consent_id: id }) => (typeof id === 'string' ? [id] : [])),
  ]);
  const inline = details.filter(({ consent_id: id }) => id === undefined);
  if (details.length > 1 || ids.size + inline.length > 1) {
    throw new errors.InvalidRequest('a request is about one consent');
  }
  const [consentId] = ids;
  return { consentId, detail: inline[0] };
}

/** Whether a request is about a consent object at all. */
export function namesConsent(parameters: Parameters): boolean {
  const { consentId, detail } = consentNaming(parameters);
  return consentId !== undefined || detail !== undefined;
}

function idsInClaims(claims: unknown): string[] {
  if (typeof claims !== 'string') return [];
  const parsed = JSON.parse(claims) as Partial<Record<string, Record<string, unknown>>>;
  return ['id_token', 'userinfo'].flatMap((place) => {
    const asked = parsed[place]?.[intentClaim] as { value?: unknown } | null | undefined;
    if (asked === undefined || asked === null) return [];
    if (typeof asked.value !== 'string') {
      throw new errors.InvalidRequest(`${intentClaim} needs a value`);
    }
    return [asked.value];
  });
}

function idsInScope(scope: unknown): string[] {
  const names = typeof scope === 'string' ? scope.split(' ') : [];
  return names
    .filter((name) => name.startsWith(consentScopePrefix))
    .map((name) => name.slice(consentScopePrefix.length));
}

function detailsIn({ authorization_details: details }: Parameters): Record<string, unknown>[] {
  return typeof details === 'string' ? (JSON.parse(details) as Record<string, unknown>[]) : [];
}

interface Rules {
  consents: Consents;
  /** Whether what consents are about is given under one only. */
  required: boolean;
}

/**
 * Checks that the request may go on with the consent that it names: there is one of this client, undecided, or authorised by
 * the customer who is here, and the request asks for nothing beside it. A foreign consent is as unknown as none.
 */
export async function checkConsent(ctx: KoaContextWithOIDC, rules: Rules): Promise<void> {
  const { params, client, session } = ctx.oidc;
  const naming = consentNaming(params ?? {});
  const scopes = resourceScopesAmong([...ctx.oidc.requestParamScopes]);
  if (client === undefined) return;
  if (naming.consentId === undefined) {
    if (naming.detail === undefined) rejectWithoutConsent(scopes, rules);
    else rejectScopesBeyond(scopes, rules.consents.scopeOfDetail(naming.detail));
    return;
  }
  const consent = await knownConsent(naming.consentId, client, rules.consents);
  rejectWrongState(consent, session?.accountId);
  rejectScopesBeyond(scopes, consent.scope);
}

function rejectWithoutConsent(scopes: readonly string[], { required, consents }: Rules): void {
  const bound = required ? scopes.filter((name) => consents.scopes.includes(name)) : [];
  if (bound.length === 0) return;
  throw new errors.InvalidRequest('a consent must be named', 400, `for ${bound.join(', ')}`);
}

async function knownConsent(id: string, client: Client, consents: Consents): Promise<NamedConsent> {
  const consent = consents.isId(id) ? await consents.find(id) : undefined;
  if (consent?.clientId === client.clientId) return consent;
  const detail = consent === undefined ? 'there is none' : `it is of ${consent.clientId}`;
  throw new errors.InvalidRequest('the consent is unknown', 400, detail);
}

function rejectWrongState({ state, customerId }: NamedConsent, signedIn: string | undefined): void {
  if (state === 'awaiting-authorisation') return;
  if (state !== 'authorised') throw new errors.InvalidRequest(`the consent is ${state}`);
  if (signedIn === undefined || signedIn === customerId) return;
  throw new errors.AccessDenied('the consent is of another customer');
}

function rejectScopesBeyond(scopes: readonly string[], scope: string | undefined): void {
  const beyond = scopes.filter((name) => name !== scope);
  if (beyond.length === 0) return;
  throw new errors.InvalidScope('the scope is beyond the consent', beyond.join(' '));
}
