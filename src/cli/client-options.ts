import { Option } from 'commander';
import type { Command } from 'commander';
import { authenticationMethods } from '../clients/client.ts';
import { securityProfiles } from '../clients/profiles.ts';
import { UsageError } from './failure.ts';
import { readJsonInput } from './input.ts';
import type { Shell } from './shell.ts';

/** What a command line says about a client. */
export interface ClientOptions {
  metadata?: string;
  name?: string;
  redirectUri?: string[];
  postLogoutRedirectUri?: string[];
  grantType?: string[];
  /** False for --no-grant-types; commander sets it to true otherwise. */
  grantTypes?: boolean;
  authMethod?: string;
  subjectDn?: string;
  sanDns?: string;
  sanUri?: string;
  sanIp?: string;
  sanEmail?: string;
  jwks?: string;
  jwksUri?: string;
  applicationType?: string;
  subjectType?: string;
  profile?: string;
  dpop?: boolean;
}

/** Adds the options that say what a client is. */
export function addClientOptions(command: Command): Command {
  return command
    .option('--metadata <file>', 'RFC 7591 metadata as JSON (- for standard input); options win')
    .option('--name <name>', 'what customers read')
    .option('--redirect-uri <uri...>', 'where customers may be sent back to')
    .option('--post-logout-redirect-uri <uri...>', 'where customers may go after logout')
    .option('--grant-type <grant...>', 'authorization_code, refresh_token, client_credentials')
    .option(
      '--no-grant-types',
      'it gets no tokens: the client as which a resource server introspects',
    )
    .addOption(
      new Option('--auth-method <method>', 'how it proves who it is').choices(
        authenticationMethods,
      ),
    )
    .option('--subject-dn <dn>', "tls_client_auth: the certificate's subject (RFC 4514)")
    .option('--san-dns <name>', 'tls_client_auth: a DNS name in the certificate')
    .option('--san-uri <uri>', 'tls_client_auth: a URI in the certificate')
    .option('--san-ip <address>', 'tls_client_auth: an IP address in the certificate')
    .option('--san-email <address>', 'tls_client_auth: an email address in the certificate')
    .option('--jwks <file>', "the client's public keys as a JWK set (- for standard input)")
    .option('--jwks-uri <uri>', "where the client's public keys are")
    .addOption(
      new Option('--profile <profile>', 'what it is held to (docs/profiles.md)').choices(
        securityProfiles,
      ),
    )
    .option('--dpop', 'its access tokens are bound to a key by DPoP, not to a certificate')
    .option('--no-dpop', 'its access tokens are not bound by DPoP')
    .addOption(new Option('--application-type <type>', 'web or native').choices(['web', 'native']))
    .addOption(
      new Option('--subject-type <type>', 'how customers are named').choices([
        'public',
        'pairwise',
      ]),
    );
}

const memberOf = {
  name: 'client_name',
  redirectUri: 'redirect_uris',
  postLogoutRedirectUri: 'post_logout_redirect_uris',
  grantType: 'grant_types',
  authMethod: 'token_endpoint_auth_method',
  subjectDn: 'tls_client_auth_subject_dn',
  sanDns: 'tls_client_auth_san_dns',
  sanUri: 'tls_client_auth_san_uri',
  sanIp: 'tls_client_auth_san_ip',
  sanEmail: 'tls_client_auth_san_email',
  jwksUri: 'jwks_uri',
  applicationType: 'application_type',
  subjectType: 'subject_type',
  profile: 'security_profile',
  dpop: 'dpop_bound_access_tokens',
} as const satisfies Partial<Record<keyof ClientOptions, string>>;

/** The members of RFC 7591 that the options and files name; unchecked. */
export async function metadataOf(
  options: ClientOptions,
  shell: Shell,
): Promise<Record<string, unknown>> {
  const file = options.metadata === undefined ? {} : await readJsonInput(shell, options.metadata);
  const jwks = options.jwks === undefined ? {} : { jwks: await readJsonInput(shell, options.jwks) };
  if (options.grantTypes === false && options.grantType !== undefined) {
    throw new UsageError('Give either --grant-type or --no-grant-types.');
  }
  const grants = options.grantTypes === false ? { grant_types: [] } : {};
  const named = (Object.keys(memberOf) as (keyof typeof memberOf)[])
    .filter((option) => options[option] !== undefined)
    .map((option) => [memberOf[option], options[option]] as const);
  return { ...file, ...jwks, ...Object.fromEntries(named), ...grants };
}

/**
 * `present` with the changes: another method, or another name in the certificate, takes those of before away, other
 * grants the response types, another profile what the old one decided, and keys by value those by address.
 */
export function changedMetadata(
  present: Readonly<Record<string, unknown>>,
  changes: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const changed = Object.keys(changes);
  const kept = Object.entries(present).filter(([member]) => !isReplaced(member, changed));
  return { ...Object.fromEntries(kept), ...changes };
}

const decidedByProfile = [
  'require_pushed_authorization_requests',
  'require_signed_request_object',
  'response_modes',
];

function isReplaced(member: string, changed: readonly string[]): boolean {
  const certificate = changed.some((name) => name.startsWith('tls_client_auth_'));
  const method = changed.includes('token_endpoint_auth_method');
  if (member.startsWith('tls_client_auth_')) return certificate || method;
  if (member === 'tls_client_certificate_bound_access_tokens') {
    return method || changed.includes('dpop_bound_access_tokens');
  }
  if (decidedByProfile.includes(member)) return changed.includes('security_profile');
  if (member === 'response_types') return changed.includes('grant_types');
  if (member === 'jwks') return changed.includes('jwks_uri');
  return member === 'jwks_uri' && changed.includes('jwks');
}
