import { Problem } from '../problem.ts';

/** How a client proves who it is (RFC 7591 `token_endpoint_auth_method`). */
export const authenticationMethods = [
  'none',
  'client_secret_basic',
  'client_secret_post',
  'private_key_jwt',
  'tls_client_auth',
  'self_signed_tls_client_auth',
] as const;
export type AuthenticationMethod = (typeof authenticationMethods)[number];

/** RFC 6749 Appendix A.1, narrowed to what needs no escaping anywhere. */
export const clientIdPattern = /^[\w.:~-]{1,100}$/;

/** A registered client, without its secret. */
export interface Client {
  id: string;
  name: string;
  /** RFC 7591 client metadata. */
  metadata: ClientMetadata;
  status: 'active' | 'suspended';
  /** "file" when the static configuration file owns it, "registration" when it registered itself. */
  source: 'file' | 'operator' | 'registration';
  /** Resource server identifier → scopes that it may request there. */
  permissions: Readonly<Record<string, readonly string[]>>;
  hasSecret: boolean;
}

/** The members of RFC 7591, RFC 8705 and OpenID registration that the rules look at; others pass through. */
export interface ClientMetadata {
  client_id: string;
  client_name?: string | undefined;
  client_uri?: string | undefined;
  application_type?: 'web' | 'native' | undefined;
  redirect_uris: string[];
  post_logout_redirect_uris?: string[] | undefined;
  grant_types: string[];
  response_types: string[];
  token_endpoint_auth_method: AuthenticationMethod;
  tls_client_auth_subject_dn?: string | undefined;
  tls_client_auth_san_dns?: string | undefined;
  tls_client_auth_san_uri?: string | undefined;
  tls_client_auth_san_ip?: string | undefined;
  tls_client_auth_san_email?: string | undefined;
  tls_client_certificate_bound_access_tokens?: boolean | undefined;
  dpop_bound_access_tokens?: boolean | undefined;
  jwks?: { keys: Record<string, unknown>[] } | undefined;
  jwks_uri?: string | undefined;
  [member: string]: unknown;
}

const subjectMembers = [
  'tls_client_auth_subject_dn',
  'tls_client_auth_san_dns',
  'tls_client_auth_san_uri',
  'tls_client_auth_san_ip',
  'tls_client_auth_san_email',
] as const;

/**
 * The metadata with what its authentication method implies: a certificate client's tokens are bound to its certificate,
 * unless it binds them by DPoP. Problem('client_invalid') names every fault at once, those that the profile found too.
 */
export function completeClient(
  metadata: ClientMetadata,
  profileFaults: readonly string[] = [],
): ClientMetadata {
  const faults = [
    ...redirectFaults(metadata),
    ...grantFaults(metadata),
    ...authenticationFaults(metadata),
    ...bindingFaults(metadata),
    ...profileFaults,
  ];
  if (faults.length > 0) throw new Problem('client_invalid', { detail: faults.join('; ') });
  const isBoundByKey = metadata.dpop_bound_access_tokens === true;
  if (!isCertificateMethod(metadata.token_endpoint_auth_method) || isBoundByKey) return metadata;
  return { ...metadata, tls_client_certificate_bound_access_tokens: true };
}

/** Both at once would make each request need both, which oidc-provider does not offer. */
function bindingFaults(metadata: ClientMetadata): string[] {
  const isBoundTwice =
    metadata.dpop_bound_access_tokens === true &&
    metadata.tls_client_certificate_bound_access_tokens === true;
  return isBoundTwice
    ? ['access tokens are bound either to a certificate or by DPoP, not by both']
    : [];
}

/** Whether the method is one of RFC 8705. */
function isCertificateMethod(method: AuthenticationMethod): boolean {
  return method === 'tls_client_auth' || method === 'self_signed_tls_client_auth';
}

/** Whether clients of this method have a secret. */
export function isSecretMethod(method: AuthenticationMethod): boolean {
  return method === 'client_secret_basic' || method === 'client_secret_post';
}

type RedirectMetadata = Pick<
  ClientMetadata,
  'redirect_uris' | 'post_logout_redirect_uris' | 'grant_types' | 'application_type'
>;

/** What is wrong with the redirect URIs, a sentence each. */
export function redirectFaults(metadata: RedirectMetadata): string[] {
  const { redirect_uris, post_logout_redirect_uris = [], grant_types } = metadata;
  if (grant_types.includes('authorization_code') && redirect_uris.length === 0) {
    return ['redirect_uris must have a member for the authorization code grant'];
  }
  return [...redirect_uris, ...post_logout_redirect_uris].flatMap((uri) => {
    const fault = redirectFault(uri, metadata.application_type ?? 'web');
    return fault === undefined ? [] : [`redirect URI ${uri} ${fault}`];
  });
}

const ambiguities: readonly (readonly [RegExp, string])[] = [
  [/#/, 'has a fragment'],
  [/\*/, 'has a wildcard'],
  [/^[^/?]+:\/\/[^/?]*@/, 'has user information'],
  [/[^\w.~:/?[\]@!$&'()+,;=%-]|%(?![\da-f]{2})/i, 'has characters that must be percent-encoded'],
  [/\/(?:\.|%2e){1,2}(?=[/?]|$)/i, 'has dot segments'],
  [
    /^https?:(?!\/\/(?:[a-z\d-]+(?:\.[a-z\d-]+)*|\[[\da-f:]+\])(?::\d+)?(?:[/?]|$))/i,
    'has no plain host name',
  ],
];

/** RFC 9700 §2.1: nothing that two parsers could read differently, such as a backslash, a tab or `%6c` in the host. */
function redirectFault(uri: string, applicationType: 'web' | 'native'): string | undefined {
  const url = URL.parse(uri);
  if (url === null) return 'is not an absolute URI';
  const [, fault] = ambiguities.find(([pattern]) => pattern.test(uri)) ?? [];
  return fault ?? hostFault(uri, url) ?? schemeFault(url, applicationType);
}

/** An address that is written in another way than usual, such as `0x7f.1`, is a name to some parsers. */
function hostFault(uri: string, { protocol, hostname }: URL): string | undefined {
  const isWeb = protocol === 'https:' || protocol === 'http:';
  const isPlain = uri.toLowerCase().startsWith(`${protocol}//${hostname}`);
  return isWeb && !isPlain ? 'has no plain host name' : undefined;
}

/** RFC 8252 §7, FAPI 2 §5.3.2.2: https, and for native applications loopback addresses and private-use schemes. */
function schemeFault(url: URL, applicationType: 'web' | 'native'): string | undefined {
  if (url.protocol === 'https:') return undefined;
  if (applicationType === 'web') return 'is not https';
  if (url.protocol === 'http:') {
    const isLoopback = url.hostname === '127.0.0.1' || url.hostname === '[::1]';
    return isLoopback ? undefined : 'is http and not a loopback address';
  }
  return url.protocol.includes('.') ? undefined : 'has a scheme that is not a reversed domain name';
}

const offeredGrants = ['authorization_code', 'client_credentials', 'refresh_token'];

function grantFaults({ grant_types, response_types, token_endpoint_auth_method }: ClientMetadata) {
  const faults: string[] = [];
  const unknown = grant_types.filter((grant) => !offeredGrants.includes(grant));
  if (unknown.length > 0) faults.push(`grant types ${unknown.join(', ')} are not offered`);
  if (response_types.some((type) => type !== 'code')) faults.push('the only response type is code');
  if (grant_types.includes('client_credentials') && token_endpoint_auth_method === 'none') {
    faults.push('the client credentials grant needs a client that authenticates');
  }
  return faults;
}

function authenticationFaults(metadata: ClientMetadata): string[] {
  const method = metadata.token_endpoint_auth_method;
  const subjects = subjectMembers.filter((member) => metadata[member] !== undefined);
  const hasKeys = metadata.jwks !== undefined || metadata.jwks_uri !== undefined;
  switch (method) {
    case 'tls_client_auth':
      return subjects.length === 1
        ? []
        : ['tls_client_auth needs exactly one tls_client_auth_… member'];
    case 'private_key_jwt':
    case 'self_signed_tls_client_auth':
      return hasKeys ? [] : [`${method} needs jwks or jwks_uri`];
    case 'none':
    case 'client_secret_basic':
    case 'client_secret_post':
      return [];
  }
}
