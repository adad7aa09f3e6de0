import { Problem } from '../problem.ts';

/** What a client may be held to, the laxest first. */
export const securityProfiles = ['baseline', 'fapi2', 'fapi2-message-signing'] as const;
/**
 * `baseline` is OAuth 2.1 with RFC 9700, `fapi2` the FAPI 2.0 Security Profile (Final), and `fapi2-message-signing` adds
 * signed requests, responses and introspection (FAPI 2.0 Message Signing).
 */
export type SecurityProfile = (typeof securityProfiles)[number];

/** JWS algorithms of FAPI 2.0 §5.4.1. Ed25519 is the name that RFC 9864 gives to the EdDSA which is meant. */
const fapiAlgorithms: readonly unknown[] = ['PS256', 'ES256', 'EdDSA', 'Ed25519'];

/** The members of RFC 7591 client metadata that a profile looks at. */
export interface ProfiledMetadata {
  security_profile?: unknown;
  token_endpoint_auth_method?: unknown;
  grant_types?: unknown;
  redirect_uris?: unknown;
  jwks?: unknown;
  jwks_uri?: unknown;
  [member: string]: unknown;
}

/** FAPI 2.0 §5.3.2.1-6: how clients authenticate. */
const fapiMethods: unknown[] = [
  'private_key_jwt',
  'tls_client_auth',
  'self_signed_tls_client_auth',
];

/** Modes in which the response is a signed JWT (JARM §4.3). */
const signedModes = ['jwt', 'query.jwt', 'fragment.jwt', 'form_post.jwt'];

/** Algorithms that are RS256 unless the metadata names one. */
const ourAlgorithms = [
  'id_token_signed_response_alg',
  'authorization_signed_response_alg',
  'introspection_signed_response_alg',
] as const;
const clientsAlgorithms = [
  'token_endpoint_auth_signing_alg',
  'request_object_signing_alg',
] as const;

/** The profile that the metadata names; `baseline` when it names none. Problem('client_invalid') for an unknown one. */
export function profileOf({ security_profile: named = 'baseline' }: ProfiledMetadata) {
  const profile = securityProfiles.find((known) => known === named);
  if (profile === undefined) {
    throw new Problem('client_invalid', { detail: `there is no profile ${String(named)}` });
  }
  return profile;
}

/** The stricter one of two. */
export function stricterProfile(one: SecurityProfile, other: SecurityProfile): SecurityProfile {
  return securityProfiles.indexOf(one) < securityProfiles.indexOf(other) ? other : one;
}

/**
 * The metadata with what its profile decides: pushed requests, signed requests and responses, and PS256 where an
 * algorithm is left open. What a profile forbids is not changed but named by {@link profileFaults}.
 */
export function completeForProfile<T extends ProfiledMetadata>(metadata: T): T {
  const profile = profileOf(metadata);
  if (profile === 'baseline') return metadata;
  const algorithms = ourAlgorithms.map((name) => [name, metadata[name] ?? 'PS256'] as const);
  const completed = { ...metadata, ...Object.fromEntries(algorithms) };
  if (!authorizes(metadata)) return completed;
  const pushed = { ...completed, require_pushed_authorization_requests: true };
  if (profile === 'fapi2') return pushed;
  const response_modes = metadata['response_modes'] ?? signedModes;
  return { ...pushed, require_signed_request_object: true, response_modes };
}

/** What completed metadata lacks of its own profile, or has against it: a sentence each. */
export function profileFaults(metadata: ProfiledMetadata): string[] {
  const profile = profileOf(metadata);
  const keys = keySetFaults(metadata.jwks, profile);
  if (profile === 'baseline') return keys;
  const faults = [
    ...senderFaults(metadata),
    ...algorithmFaults(metadata),
    ...authorizationFaults(metadata),
  ];
  const signing = profile === 'fapi2' ? [] : messageSigningFaults(metadata);
  return [...faults, ...signing, ...keys];
}

/**
 * Why a server that accepts `minimum` at least refuses the client: a sentence each. A client without grants is the one as
 * which a resource server introspects: it never gets a token, and may stay as it is.
 */
export function minimumFaults(metadata: ProfiledMetadata, minimum: SecurityProfile): string[] {
  const profile = profileOf(metadata);
  const isBelow = securityProfiles.indexOf(profile) < securityProfiles.indexOf(minimum);
  if (!isBelow || !getsTokens(metadata)) return [];
  return [`its security_profile is ${profile}, and this server accepts ${minimum} at least`];
}

/**
 * Why a stored client can't be served, in one sentence: its profile is too low, or its metadata does not keep to it. A
 * `baseline` client that was registered before a rule was made keeps working.
 */
export function refusalOf(
  metadata: ProfiledMetadata,
  minimum: SecurityProfile,
): string | undefined {
  const own = profileOf(metadata) === 'baseline' ? [] : profileFaults(metadata);
  const faults = [...minimumFaults(metadata, minimum), ...own];
  return faults.length === 0 ? undefined : faults.join('; ');
}

/** Whether the client may ask for tokens at all. */
export function getsTokens({ grant_types: grants }: ProfiledMetadata): boolean {
  return Array.isArray(grants) && grants.length > 0;
}

function authorizes({ grant_types: grants }: ProfiledMetadata): boolean {
  return Array.isArray(grants) && grants.includes('authorization_code');
}

function senderFaults(metadata: ProfiledMetadata): string[] {
  const method = metadata.token_endpoint_auth_method;
  const faults: string[] = [];
  if (!fapiMethods.includes(method)) {
    faults.push(`token_endpoint_auth_method must be ${fapiMethods.join(' or ')}`);
  }
  if (getsTokens(metadata) && !isSenderConstrained(metadata)) {
    faults.push(
      'its tokens must be bound: tls_client_certificate_bound_access_tokens or dpop_bound_access_tokens',
    );
  }
  return faults;
}

/** Whether its access tokens are good only for who holds a key (FAPI 2.0 §5.3.2.1-4). */
export function isSenderConstrained(metadata: ProfiledMetadata): boolean {
  return (
    metadata['tls_client_certificate_bound_access_tokens'] === true ||
    metadata['dpop_bound_access_tokens'] === true ||
    metadata.token_endpoint_auth_method === 'tls_client_auth' ||
    metadata.token_endpoint_auth_method === 'self_signed_tls_client_auth'
  );
}

function algorithmFaults(metadata: ProfiledMetadata): string[] {
  const named = clientsAlgorithms.filter((name) => metadata[name] !== undefined);
  return [...ourAlgorithms, ...named]
    .filter((name) => !fapiAlgorithms.includes(metadata[name] ?? 'RS256'))
    .map((name) => `${name} must be ${fapiAlgorithms.join(', ')}`);
}

function authorizationFaults(metadata: ProfiledMetadata): string[] {
  if (!authorizes(metadata)) return [];
  const faults = textsIn(metadata.redirect_uris)
    .filter((uri) => !/^https:|^http:\/\/(?:127\.0\.0\.1|\[::1\])(?:[:/?]|$)/i.test(uri))
    .map((uri) => `redirect URI ${uri} is neither https nor a loopback address`);
  if (metadata['require_pushed_authorization_requests'] !== true) {
    faults.push('require_pushed_authorization_requests must be true');
  }
  return faults;
}

function messageSigningFaults(metadata: ProfiledMetadata): string[] {
  if (!authorizes(metadata)) return [];
  const faults: string[] = [];
  if (metadata['require_signed_request_object'] !== true) {
    faults.push('require_signed_request_object must be true');
  }
  if (metadata.jwks === undefined && metadata.jwks_uri === undefined) {
    faults.push('its request objects need jwks or jwks_uri');
  }
  const modes = textsIn(metadata['response_modes']);
  if (modes.length === 0 || modes.some((mode) => !signedModes.includes(mode))) {
    faults.push(`response_modes must be among ${signedModes.join(', ')}`);
  }
  return faults;
}

type Jwk = Readonly<Record<string, unknown>>;

/** What is wrong with a key set by value: FAPI 2.0 §5.4, and private keys, which are nobody's business but the client's. */
function keySetFaults(jwks: unknown, profile: SecurityProfile): string[] {
  if (typeof jwks !== 'object' || jwks === null || !('keys' in jwks)) return [];
  const keys = (Array.isArray(jwks.keys) ? jwks.keys : []) as Jwk[];
  const kids = keys.flatMap(({ kid }) => (kid === undefined ? [] : [kid]));
  const faults = new Set(kids).size === kids.length ? [] : ['jwks: two keys have the same kid'];
  return [
    ...faults,
    ...keys.flatMap((key, index) =>
      keyFaults(key, profile).map((fault) => `jwks.keys.${String(index)} ${fault}`),
    ),
  ];
}

const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv'];
/** Curves of 224 bits and more that JOSE has (FAPI 2.0 §5.4.1). */
const strongCurves: unknown[] = ['P-256', 'P-384', 'P-521', 'Ed25519'];

function keyFaults(key: Jwk, profile: SecurityProfile): string[] {
  const faults: string[] = [];
  if (privateMembers.some((member) => Object.hasOwn(key, member))) faults.push('is not public');
  if (key['kty'] === 'RSA' && modulusBits(key['n']) < 2048) faults.push('has less than 2048 bits');
  if (profile === 'baseline') return faults;
  if (key['kty'] !== 'RSA' && !strongCurves.includes(key['crv'])) faults.push('has a weak curve');
  // A second place to look for the key is a second place to replace it.
  if (Object.hasOwn(key, 'x5u')) faults.push('names an address (x5u)');
  return faults;
}

function modulusBits(modulus: unknown): number {
  const bytes = Buffer.from(typeof modulus === 'string' ? modulus : '', 'base64url');
  const first = bytes.findIndex((byte) => byte !== 0);
  return first < 0 ? 0 : (bytes.length - first) * 8 - (Math.clz32(bytes[first] ?? 0) - 24);
}

function textsIn(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}
