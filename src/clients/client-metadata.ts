import { z } from 'zod';
import { Problem } from '../problem.ts';
import { nameFault } from './client-name.ts';
import { authenticationMethods, clientIdPattern, completeClient } from './client.ts';
import type { ClientMetadata } from './client.ts';
import {
  completeForProfile,
  getsTokens,
  minimumFaults,
  profileFaults,
  securityProfiles,
} from './profiles.ts';
import type { SecurityProfile } from './profiles.ts';

// z.url() drops white space and would register another URI than the client sends.
const uri = z.string().max(2048).regex(/^\S+$/, 'must not have white space').pipe(z.url());
/** Customers read it. */
const name = z
  .string()
  .min(1)
  .max(100)
  .check(({ value, issues }) => {
    const message = nameFault(value);
    if (message !== undefined) issues.push({ code: 'custom', input: value, message });
  });
const short = z.string().min(1).max(300);

/** What we sign with. */
const ourAlgorithm = z.enum(['RS256', 'PS256', 'ES256', 'EdDSA']);
/** What clients may sign with; Ed25519 is RFC 9864's name for what EdDSA means here. */
const clientsAlgorithm = z.enum(['RS256', 'PS256', 'ES256', 'EdDSA', 'Ed25519']);
const responseMode = z.enum([
  'query',
  'fragment',
  'form_post',
  'jwt',
  'query.jwt',
  'fragment.jwt',
  'form_post.jwt',
]);

const metadataSchema = z.strictObject({
  // Never in the form of a customer's `sub`, which is a UUID (RFC 9700 §4.15).
  client_id: z
    .string()
    .regex(clientIdPattern)
    .refine((id) => !z.uuid().safeParse(id).success, 'must not be a UUID'),
  client_name: name.optional(),
  client_uri: z.url({ protocol: /^https$/ }).optional(),
  application_type: z.enum(['web', 'native']).optional(),
  redirect_uris: z.array(uri).max(50).default([]),
  post_logout_redirect_uris: z.array(uri).max(50).optional(),
  grant_types: z.array(z.string()).max(10).default(['authorization_code']),
  response_types: z.array(z.string()).max(5).optional(),
  token_endpoint_auth_method: z.enum(authenticationMethods).default('client_secret_basic'),
  security_profile: z.enum(securityProfiles).optional(),
  token_endpoint_auth_signing_alg: clientsAlgorithm.optional(),
  id_token_signed_response_alg: ourAlgorithm.optional(),
  request_object_signing_alg: clientsAlgorithm.optional(),
  require_signed_request_object: z.boolean().optional(),
  require_pushed_authorization_requests: z.boolean().optional(),
  response_modes: z.array(responseMode).min(1).max(7).optional(),
  authorization_signed_response_alg: ourAlgorithm.optional(),
  introspection_signed_response_alg: ourAlgorithm.optional(),
  subject_type: z.enum(['public', 'pairwise']).optional(),
  sector_identifier_uri: z.url({ protocol: /^https$/ }).optional(),
  jwks: z
    .strictObject({ keys: z.array(z.record(z.string(), z.unknown())).min(1).max(20) })
    .optional(),
  jwks_uri: z.url({ protocol: /^https$/ }).optional(),
  tls_client_auth_subject_dn: short.optional(),
  tls_client_auth_san_dns: short.optional(),
  tls_client_auth_san_uri: short.optional(),
  tls_client_auth_san_ip: short.optional(),
  tls_client_auth_san_email: short.optional(),
  tls_client_certificate_bound_access_tokens: z.boolean().optional(),
  dpop_bound_access_tokens: z.boolean().optional(),
  use_mtls_endpoint_aliases: z.boolean().optional(),
  backchannel_logout_uri: z.url({ protocol: /^https$/ }).optional(),
  backchannel_logout_session_required: z.boolean().optional(),
  default_max_age: z.int().min(0).optional(),
  require_auth_time: z.boolean().optional(),
  default_acr_values: z.array(short).optional(),
  contacts: z.array(short).optional(),
  logo_uri: z.url({ protocol: /^https$/ }).optional(),
  policy_uri: z.url({ protocol: /^https$/ }).optional(),
  tos_uri: z.url({ protocol: /^https$/ }).optional(),
  // RFC 9396 §10; a client without any may send none.
  authorization_details_types: z
    .array(z.enum(['account_information', 'payment_initiation', 'funds_confirmation']))
    .optional(),
  scope: z.string().max(1000).optional(),
  software_id: short.optional(),
  software_version: short.optional(),
});

/** What the server demands of every client. */
interface Demands {
  /** The least profile; one that names none gets it. */
  minimumProfile?: SecurityProfile;
}

/**
 * Checked and completed RFC 7591 client metadata. Members that we don't know are refused: a client must not believe in
 * a setting that has no effect. Problem('client_invalid') names every fault at once.
 */
export function parseClientMetadata(
  value: unknown,
  { minimumProfile = 'baseline' }: Demands = {},
): ClientMetadata {
  const result = metadataSchema.safeParse(value);
  if (!result.success) {
    const faults = result.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
    throw new Problem('client_invalid', { detail: faults.join('; ') });
  }
  const responseTypes = result.data.grant_types.includes('authorization_code') ? ['code'] : [];
  const metadata = completeForProfile({
    ...withProfile(result.data, minimumProfile),
    response_types: result.data.response_types ?? responseTypes,
  });
  return completeClient(metadata, [
    ...minimumFaults(metadata, minimumProfile),
    ...profileFaults(metadata),
  ]);
}

function withProfile<T extends { security_profile?: SecurityProfile | undefined }>(
  metadata: T,
  minimum: SecurityProfile,
): T {
  const isSilent = metadata.security_profile === undefined;
  if (!isSilent || minimum === 'baseline' || !getsTokens(metadata)) return metadata;
  return { ...metadata, security_profile: minimum };
}
