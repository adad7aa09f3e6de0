import type { JWK } from 'jose';
import type { Configuration } from 'oidc-provider';
import type Koa from 'koa';
import type { AuditEntry } from '../audit/events.ts';

/** RFC 7591 client metadata; oidc-provider checks the rest. */
export interface RegisteredMetadata {
  client_id: string;
  client_name?: string | undefined;
  client_uri?: string | undefined;
  token_endpoint_auth_method?: string | undefined;
  [member: string]: unknown;
}

/** What the provider asks of the clients; `clients/` fits. */
export interface Clients {
  /** RFC 7591 metadata of an active client, without its secret. */
  metadataOf(clientId: string): Promise<RegisteredMetadata | undefined>;
  /** Whether `secret` is the client's, compared by digest in constant time. */
  verifySecret(clientId: string, secret: string): Promise<boolean>;
  /** Resource server identifier → scopes that the client may request there. */
  permissionsOf(clientId: string): Promise<Readonly<Record<string, readonly string[]>>>;
}

/** A resource server as tokens need it. */
export interface TokenAudience {
  identifier: string;
  name: string;
  accessTokenFormat: 'jwt' | 'opaque';
  accessTokenTtlSeconds: number;
  signingAlgorithm: 'RS256' | 'PS256' | 'ES256' | 'EdDSA';
  /** Scope → locale → the sentence that the consent page shows. */
  scopes: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/** A key of the published set. */
export interface SigningKey {
  /** Public members, and `kid`, `alg`, `use` and `key_ops`. */
  jwk: JWK;
  /** What signs with it; undefined where it only verifies. */
  signer:
    | {
        /** Resolves to the signature of RFC 7518 §3. */
        sign(data: Uint8Array): Promise<Buffer>;
        /** Rejects when nothing can be signed at the moment. */
        ready(): Promise<void>;
      }
    | undefined;
}

/** What the provider asks of the resource servers; `resource-servers/` fits. */
export interface ResourceServers {
  find(identifier: string): Promise<TokenAudience | undefined>;
  /** The resource server that authenticates at the introspection endpoint as this client. */
  findByIntrospectionClient(clientId: string): Promise<TokenAudience | undefined>;
}

/** What the provider asks of the customers; `customers/` fits. */
export interface Customers {
  /** OpenID standard claims of an active customer; undefined for an unknown or suspended one. */
  claimsOf(customerId: string): Promise<Readonly<Record<string, unknown>> | undefined>;
}

/** RFC 9396 §2. */
export interface AuthorizationDetail {
  type: string;
  [member: string]: unknown;
}

/** A consent as an authorization request needs it. */
export interface NamedConsent {
  clientId: string;
  state: 'awaiting-authorisation' | 'authorised' | 'rejected' | 'revoked' | 'expired' | 'consumed';
  /** Who authorised it. */
  customerId: string | undefined;
  /** The one resource scope that it is about. */
  scope: string;
  /** As tokens carry it, with the accounts that are chosen now. */
  detail: AuthorizationDetail;
}

/** What the provider asks of the consents; `consents/` fits. A consent's grant has the consent's id. */
export interface Consents {
  isId(value: unknown): value is string;
  /** The consent as it is at this moment; never remembered. */
  find(id: string): Promise<NamedConsent | undefined>;
  /** Told of every use, at no cost. */
  used(id: string): void;
  /** Scopes that consents are about. */
  scopes: readonly string[];
  /** Types of authorization details (RFC 9396). */
  detailTypes: readonly string[];
  /** What is wrong with an authorization detail, for the client's developers. */
  faultOfDetail(detail: Readonly<Record<string, unknown>>): string | undefined;
  scopeOfDetail(detail: Readonly<Record<string, unknown>>): string | undefined;
  /** Lodges the consent that a valid detail asks for, and gives its id. */
  lodge(clientId: string, detail: Readonly<Record<string, unknown>>): Promise<string>;
  /** Ends an authorised consent of this client, with every token under it; one that has ended is left as it is. */
  revoke(clientId: string, id: string): Promise<void>;
}

/** Pages that the provider shows by itself. */
export interface ProviderPages {
  error(ctx: Koa.Context, error: { code: string; cause: unknown }): void;
  /** `form` is trusted HTML: the library's logout form with its CSRF token. */
  logout(ctx: Koa.Context, page: { form: string; clientName?: string }): void;
  /** `stillSignedIn`: the customer chose to stay. */
  loggedOut(ctx: Koa.Context, page: { clientName?: string; stillSignedIn: boolean }): void;
  /** A form that the browser sends by itself, or the customer by its button. */
  carryOn(
    ctx: Koa.Context,
    form: { action: string; fields: { name: string; value: string }[]; formActions: string[] },
  ): void;
}

/** That there are too many requests, or that nobody can say whether there are. */
export type Excess = 'too_many_requests' | 'temporarily_unavailable';

/** What the provider asks of the rate limits. */
export interface Limits {
  /** Counts the running request for a client or a customer, unless it is one too many. When to come back is told for it. */
  excess(kind: 'client' | 'customer', id: string): Excess | undefined | Promise<Excess | undefined>;
}

/** Where security events go; the trail of `audit/` fits. */
export interface Recorder {
  record(entry: AuditEntry): void;
}

/** Lifetimes in seconds. */
export interface Lifetimes {
  authorizationCode: number;
  accessToken: number;
  refreshToken: number;
  session: number;
  interaction: number;
}

/** One concern's share of oidc-provider's configuration. */
export type Share = Configuration;
