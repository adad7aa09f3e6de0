import { permittedAmong } from './directory.ts';
import type { Permissions } from './directory.ts';
import type { SecurityProfile } from '../profiles.ts';
import type { SoftwareStatement } from './software-statement-metadata.ts';

/** The error codes of RFC 7591 §3.2.2, and of RFC 6750 for tokens and certificates. */
export const registrationErrors = [
  'invalid_token',
  'invalid_redirect_uri',
  'invalid_client_metadata',
  'invalid_software_statement',
  'unapproved_software_statement',
] as const;

/** One reason against a registration: the code that the caller sees and the truth for the operator. */
export interface Fault {
  code: (typeof registrationErrors)[number];
  detail: string;
}

export function fault(code: Fault['code'], detail: string): Fault {
  return { code, detail };
}

/** What a client asks for, by the names of RFC 7591; members that nobody may register are gone already. */
export interface Asked {
  redirectUris: string[] | undefined;
  /** The scopes of `scope`. */
  scopes: string[] | undefined;
  jwksUri: string | undefined;
  /** All of the above and the rest, as they were sent. */
  members: Readonly<Record<string, unknown>>;
}

/** What a client may become: said by its statement and directory, or by the operator's initial access token. */
export interface Basis {
  permissions: Permissions;
  /** The security profile that it gets, whatever it asks for. */
  profile: SecurityProfile;
  /** OpenID scopes that it may request besides `openid` and `offline_access`. */
  identityScopes: readonly string[];
  keysByValue: boolean;
  /** Whether redirect URIs may be of the customer's own machine: in the sandbox. */
  localRedirectUris?: boolean;
  statement?: SoftwareStatement;
}

/**
 * The metadata that follows from what is asked and what may be had. The statement wins over the request (RFC 7591 §2.3);
 * where the request leaves something out, it is what open banking needs: a client that authenticates by the
 * certificate that it registers with, and whose tokens are bound to one.
 */
export function metadataFor(
  { members, redirectUris, scopes }: Asked,
  { statement, profile, identityScopes }: Basis,
  certificateSubject: string,
): Record<string, unknown> {
  const method = members['token_endpoint_auth_method'] ?? 'tls_client_auth';
  const names = Object.entries(members).filter(([name]) => isCertificateName(name));
  const subject = { tls_client_auth_subject_dn: certificateSubject };
  const rest = Object.entries(members).filter(([name]) => !isCertificateName(name));
  const isBoundByKey = members['dpop_bound_access_tokens'] === true;
  return {
    ...Object.fromEntries(rest),
    redirect_uris: redirectUris ?? redirectUrisOf(members, statement),
    token_endpoint_auth_method: method,
    ...(method !== 'tls_client_auth' ? {} : names.length > 0 ? Object.fromEntries(names) : subject),
    ...(isBoundByKey ? {} : { tls_client_certificate_bound_access_tokens: true }),
    ...(statement === undefined ? {} : vouchedFor(statement, members)),
    security_profile: profile,
    // Of the OpenID scopes oidc-provider lets the client have no others.
    scope: [
      'openid',
      'offline_access',
      ...identityScopes.filter((s) => scopes?.includes(s) ?? true),
    ].join(' '),
  };
}

function redirectUrisOf(members: Asked['members'], statement: SoftwareStatement | undefined) {
  const grants = members['grant_types'] ?? ['authorization_code'];
  const needsOne = Array.isArray(grants) && grants.includes('authorization_code');
  return needsOne ? [...(statement?.redirectUris ?? [])] : [];
}

function vouchedFor(statement: SoftwareStatement, members: Asked['members']) {
  const { softwareId, softwareVersion, clientName, jwksUri } = statement;
  return {
    software_id: softwareId,
    ...(softwareVersion === undefined ? {} : { software_version: softwareVersion }),
    client_name: clientName, // never the client's own words: customers read it
    ...(jwksUri === undefined || members['jwks'] !== undefined ? {} : { jwks_uri: jwksUri }),
  };
}

function isCertificateName(member: string): boolean {
  return member.startsWith('tls_client_auth_');
}

/** What speaks against the redirect URIs besides their form (`redirectFaults` of client.ts). */
export function redirectUriFaults(asked: Asked, basis: Basis): Fault[] {
  const { redirectUris = [], members } = asked;
  const { statement, localRedirectUris = false } = basis;
  const registered = asked.redirectUris ?? redirectUrisOf(members, statement);
  const vouched = statement?.redirectUris ?? redirectUris;
  const foreign = redirectUris.filter((uri) => !vouched.includes(uri));
  const origins = vouched.map(originOf);
  const afterLogout = textsIn(members['post_logout_redirect_uris']);
  const elsewhere =
    statement === undefined ? [] : afterLogout.filter((uri) => !origins.includes(originOf(uri)));
  const local = localRedirectUris ? [] : [...registered, ...afterLogout].filter(isLocal);
  return [
    ...foreign.map((uri) => `redirect URI ${uri} is not in the software statement`),
    ...elsewhere.map((uri) => `no redirect URI of the software statement has the host of ${uri}`),
    ...local.map((uri) => `redirect URI ${uri} is of the customer's own machine`),
  ].map((detail) => fault('invalid_redirect_uri', detail));
}

function originOf(uri: string): string {
  return URL.parse(uri)?.origin ?? uri;
}

function textsIn(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}

const localNames = /^(?:localhost|.*\.localhost|127\.\d+\.\d+\.\d+|0\.0\.0\.0)$/;
/** `::`, `::1`, and 127.0.0.0/8 and 0.0.0.0 as URLs write them when they are mapped. */
const localIpv6 = /^\[::(?:1|ffff:(?:7f[\da-f]{2}:[\da-f]{1,4}|0:0))?\]$/;

/** Whatever listens there is not the third party (UK DCR 3.3: no localhost). */
function isLocal(uri: string): boolean {
  const host = URL.parse(uri)?.hostname ?? '';
  return localNames.test(host) || localIpv6.test(host);
}

const methods: readonly unknown[] = ['tls_client_auth', 'private_key_jwt'];

/** What speaks against how the client wants to authenticate and where its keys are. */
export function keyFaults({ members, jwksUri }: Asked, basis: Basis): Fault[] {
  const { token_endpoint_auth_method: method = 'tls_client_auth', jwks } = members;
  const { keysByValue } = basis;
  const faults = addressFaults(jwksUri, basis);
  if (!methods.includes(method)) {
    faults.push(`token_endpoint_auth_method ${JSON.stringify(method)} can't be registered here`);
  }
  if (jwks !== undefined && !keysByValue) faults.push('jwks is given by value');
  if (jwks !== undefined && jwksUri !== undefined) faults.push('both jwks and jwks_uri are given');
  return faults.map((detail) => fault('invalid_client_metadata', detail));
}

/** Keys must be where the directory says that they are. */
function addressFaults(jwksUri: string | undefined, { statement }: Basis): string[] {
  if (statement === undefined || jwksUri === undefined) return [];
  if (jwksUri === statement.jwksUri) return [];
  return [`jwks_uri is ${jwksUri}, the statement has ${statement.jwksUri ?? 'none'}`];
}

/** Scopes that belong to no resource server: asking for them raises nothing. */
const general: ReadonlySet<string> = new Set([
  'openid',
  'offline_access',
  'profile',
  'email',
  'phone',
  'address',
]);

/**
 * What the client may request: of what its basis permits, what it asks for, or all where it does not say. What it asks
 * for beyond that is left out; a client that would be left with nothing is told.
 */
export function permissionsFor(
  { scopes }: Asked,
  { permissions }: Basis,
): { permissions: Permissions; faults: Fault[] } {
  const granted = scopes === undefined ? permissions : permittedAmong(permissions, scopes);
  const asksForSome = scopes?.some((scope) => !general.has(scope)) ?? true;
  if (!asksForSome || Object.keys(granted).length > 0) return { permissions: granted, faults: [] };
  const asked = scopes === undefined ? 'no scope' : `none of the scopes ${scopes.join(' ')}`;
  const others = scopeText(permissions);
  const detail = `${asked} is permitted${others === '' ? '' : `, only ${others}`}`;
  return { permissions: granted, faults: [fault('invalid_client_metadata', detail)] };
}

/** The scope whose permission a type of authorization details (RFC 9396 §2) needs. */
const scopeOfDetailType: Readonly<Record<string, string>> = {
  account_information: 'accounts',
  payment_initiation: 'payments',
  funds_confirmation: 'fundsconfirmations',
};

/** What speaks against `authorization_details_types` of known names: each needs the scope that it is about. */
export function detailTypeFaults(
  { members }: Pick<Asked, 'members'>,
  permissions: Permissions,
): Fault[] {
  const permitted = new Set(Object.values(permissions).flat());
  return textsIn(members['authorization_details_types']).flatMap((type) => {
    const scope = Object.hasOwn(scopeOfDetailType, type) ? scopeOfDetailType[type] : undefined;
    if (scope === undefined || permitted.has(scope)) return [];
    const detail = `authorization_details_types: ${type} needs the scope ${scope}`;
    return [fault('invalid_client_metadata', detail)];
  });
}

/** The scopes of permissions as `scope` writes them; may be empty. */
export function scopeText(permissions: Permissions): string {
  return [...new Set(Object.values(permissions).flat())].join(' ');
}

/** The identity scopes in a client's `scope` metadata. */
export function identityScopesIn({ scope }: Readonly<Record<string, unknown>>): string[] {
  const names = typeof scope === 'string' ? scope.split(' ') : [];
  return names.filter((name) => name !== 'openid' && name !== 'offline_access');
}
