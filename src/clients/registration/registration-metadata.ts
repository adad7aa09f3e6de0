import { z } from 'zod';
import { fault } from './registration.ts';
import type { Asked, Fault } from './registration.ts';

/**
 * The members that a client may register about itself. Everything else is left out before anything looks at it: what
 * would raise privileges (`client_id`, `security_profile`, `permissions`, `status` …) and what we don't know (RFC 7591 §2).
 */
export const registrableMembers = [
  'client_name',
  'client_uri',
  'redirect_uris',
  'post_logout_redirect_uris',
  'grant_types',
  'response_types',
  'token_endpoint_auth_method',
  'token_endpoint_auth_signing_alg',
  'id_token_signed_response_alg',
  'request_object_signing_alg',
  'require_signed_request_object',
  'require_pushed_authorization_requests',
  'response_modes',
  'authorization_signed_response_alg',
  'introspection_signed_response_alg',
  'subject_type',
  'sector_identifier_uri',
  'jwks',
  'jwks_uri',
  'tls_client_auth_subject_dn',
  'tls_client_auth_san_dns',
  'tls_client_auth_san_uri',
  'tls_client_auth_san_ip',
  'tls_client_auth_san_email',
  'dpop_bound_access_tokens',
  'use_mtls_endpoint_aliases',
  'backchannel_logout_uri',
  'backchannel_logout_session_required',
  'default_max_age',
  'require_auth_time',
  'default_acr_values',
  'authorization_details_types',
  'contacts',
  'logo_uri',
  'policy_uri',
  'tos_uri',
  'software_version',
] as const;

const shape = z.object({
  redirect_uris: z.array(z.string().max(2048)).max(50).optional(),
  scope: z.string().max(1000).optional(),
  jwks_uri: z.string().max(2048).optional(),
});

/** What a request asks for; members that are null count as absent (RFC 7592 §2.2). */
export function readAsked(
  body: Readonly<Record<string, unknown>>,
): { asked: Asked } | { faults: Fault[] } {
  const given = Object.fromEntries(
    [...registrableMembers, 'scope'].flatMap((name) =>
      Object.hasOwn(body, name) && body[name] !== null ? [[name, body[name]] as const] : [],
    ),
  );
  const result = shape.safeParse(given);
  if (!result.success) {
    const faults = result.error.issues.map(({ path, message }) =>
      fault(
        path[0] === 'redirect_uris' ? 'invalid_redirect_uri' : 'invalid_client_metadata',
        `${path.join('.')}: ${message}`,
      ),
    );
    return { faults };
  }
  const { scope: _scope, ...members } = given;
  const { redirect_uris: redirectUris, scope, jwks_uri: jwksUri } = result.data;
  const scopes = scope?.split(' ').filter((name) => name !== '');
  return { asked: { redirectUris, scopes, jwksUri, members } };
}

const idShape = z.object({ client_id: z.string().optional(), software_id: z.string().optional() });

/** Identifiers in a request that must agree with what is known; absent ones agree. */
export function identifierFaults(
  body: Readonly<Record<string, unknown>>,
  known: { clientId?: string | undefined; softwareId?: string | undefined },
): Fault[] {
  const result = idShape.safeParse(body);
  if (!result.success) return [fault('invalid_client_metadata', 'an identifier is no text')];
  const { client_id: clientId, software_id: softwareId } = result.data;
  const faults: Fault[] = [];
  if (known.clientId !== undefined && clientId !== undefined && clientId !== known.clientId) {
    faults.push(fault('invalid_client_metadata', 'client_id is of another client'));
  }
  const isForeign = known.softwareId !== undefined && softwareId !== known.softwareId;
  if (isForeign && softwareId !== undefined) {
    const detail = `software_id is ${softwareId}, the statement has ${String(known.softwareId)}`;
    faults.push(fault('unapproved_software_statement', detail));
  }
  return faults;
}

/** RFC 7592 §2.2: what an update must have and must not have. */
export function updateFaults(
  body: Readonly<Record<string, unknown>>,
  { isSigned }: { isSigned: boolean },
): Fault[] {
  const forbidden = [
    'registration_access_token',
    'registration_client_uri',
    'client_secret_expires_at',
    'client_id_issued_at',
    'client_secret', // none of these clients has one, so any is a wrong one
  ].filter((name) => Object.hasOwn(body, name));
  const faults = forbidden.map((name) =>
    fault('invalid_client_metadata', `an update must not have ${name}`),
  );
  // A signed request (UK DCR 3.3) is what was sent for the registration, without a client_id.
  if (isSigned || Object.hasOwn(body, 'client_id')) return faults;
  return [...faults, fault('invalid_client_metadata', 'an update must have client_id')];
}
