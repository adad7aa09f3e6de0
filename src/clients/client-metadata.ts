import { z } from 'zod';
import { Problem } from '../problem.ts';
import { authenticationMethods, clientIdPattern, completeClient } from './client.ts';
import type { ClientMetadata } from './client.ts';

// z.url() drops white space and would register another URI than the client sends.
const uri = z.string().max(2048).regex(/^\S+$/, 'must not have white space').pipe(z.url());
const short = z.string().min(1).max(300);

const metadataSchema = z.strictObject({
  // Never in the form of a customer's `sub`, which is a UUID (RFC 9700 §4.15).
  client_id: z
    .string()
    .regex(clientIdPattern)
    .refine((id) => !z.uuid().safeParse(id).success, 'must not be a UUID'),
  client_name: z.string().min(1).max(100).optional(),
  client_uri: z.url({ protocol: /^https$/ }).optional(),
  application_type: z.enum(['web', 'native']).optional(),
  redirect_uris: z.array(uri).max(50).default([]),
  post_logout_redirect_uris: z.array(uri).max(50).optional(),
  grant_types: z.array(z.string()).max(10).default(['authorization_code']),
  response_types: z.array(z.string()).max(5).optional(),
  token_endpoint_auth_method: z.enum(authenticationMethods).default('client_secret_basic'),
  token_endpoint_auth_signing_alg: z.enum(['RS256', 'PS256', 'ES256', 'EdDSA']).optional(),
  id_token_signed_response_alg: z.enum(['RS256', 'PS256', 'ES256', 'EdDSA']).optional(),
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
  scope: z.string().max(1000).optional(),
  software_id: short.optional(),
  software_version: short.optional(),
});

/**
 * Checked and completed RFC 7591 client metadata. Members that we don't know are refused: a client must not believe in
 * a setting that has no effect. Problem('client_invalid') names every fault at once.
 */
export function parseClientMetadata(value: unknown): ClientMetadata {
  const result = metadataSchema.safeParse(value);
  if (!result.success) {
    const faults = result.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
    throw new Problem('client_invalid', { detail: faults.join('; ') });
  }
  const responseTypes = result.data.grant_types.includes('authorization_code') ? ['code'] : [];
  return completeClient({
    ...result.data,
    response_types: result.data.response_types ?? responseTypes,
  });
}
