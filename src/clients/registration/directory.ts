import type { SecurityProfile } from '../profiles.ts';

/** JWS algorithms that software statements and registration requests may have. */
export type StatementAlgorithm = 'RS256' | 'PS256' | 'ES256' | 'EdDSA' | 'Ed25519';

/** Resource server identifier → scopes that a client may request there. */
export type Permissions = Readonly<Record<string, readonly string[]>>;

/** Where a directory's statements carry what we need: the names of the claims. */
export interface ClaimNames {
  softwareId: string;
  softwareVersion: string;
  clientName: string;
  redirectUris: string;
  roles: string;
  jwksUri: string;
  jwks: string;
  organisationId: string;
}

/** An attribute of the client certificate's subject that must be equal to a claim of the statement. */
export interface CertificateRule {
  /** A name such as `UID`, `CN`, `OU` or `organizationIdentifier`. */
  attribute: string;
  /** The claim as the statement names it. */
  claim: string;
  /** What stands before the claim's value in the certificate. */
  prefix: string;
}

/** A trusted issuer of software statements, and what its clients may become. */
export interface Directory {
  /** `iss` of its statements. */
  issuer: string;
  /** Its JWK set: an https URL or a file. */
  keys: { url: string } | { file: string };
  algorithms: readonly StatementAlgorithm[];
  /** How old a statement may be, by its `iat`. */
  maxAgeSeconds: number;
  /** What `aud` of its statements must name. Without it our issuer, and statements may have no `aud`. */
  audience?: string | undefined;
  /** `json` (RFC 7591), or `jwt`: signed by the software itself (UK DCR 3.3). */
  body: 'json' | 'jwt' | 'either';
  claims: ClaimNames;
  /** Claims that must have one of these values, such as `org_status`. */
  claimValues: Readonly<Record<string, readonly string[]>>;
  /** Role → what it permits. */
  roles: Readonly<Record<string, Permissions>>;
  /** Who says which roles the client has; `both` permits only what both do. */
  rolesFrom: 'statement' | 'certificate' | 'both';
  /** All of them must hold. */
  certificate: readonly CertificateRule[];
  onePerSoftware: boolean;
  /** The security profile of its clients. */
  profile: SecurityProfile;
  /** OpenID scopes that open what a customer is called and where to reach them, for all of its clients. */
  identityScopes: readonly string[];
  /** Whether a client may send keys in `jwks` instead of using the statement's `jwks_uri`. */
  keysByValue: boolean;
  /** Whether redirect URIs may be of the customer's own machine; never in production. */
  localRedirectUris: boolean;
}

/** What roles permit together; roles that the directory's entry does not name permit nothing. */
export function permissionsOfRoles(
  { roles }: Pick<Directory, 'roles'>,
  names: readonly string[],
): Permissions {
  const all: Record<string, string[]> = {};
  for (const name of names) {
    const permitted = Object.hasOwn(roles, name) ? roles[name] : undefined;
    for (const [resource, scopes] of Object.entries(permitted ?? {})) {
      all[resource] = [...new Set([...(all[resource] ?? []), ...scopes])];
    }
  }
  return all;
}

/** What both permit. */
export function permittedByBoth(one: Permissions, other: Permissions): Permissions {
  return narrowed(one, (resource, scope) => (other[resource] ?? []).includes(scope));
}

/** The part of the permissions that is among the scopes asked for. */
export function permittedAmong(permissions: Permissions, asked: readonly string[]): Permissions {
  return narrowed(permissions, (_resource, scope) => asked.includes(scope));
}

function narrowed(
  permissions: Permissions,
  keep: (resource: string, scope: string) => boolean,
): Permissions {
  const kept = Object.entries(permissions).map(
    ([resource, scopes]) => [resource, scopes.filter((scope) => keep(resource, scope))] as const,
  );
  return Object.fromEntries(kept.filter(([, scopes]) => scopes.length > 0));
}
