import { errors } from 'oidc-provider';
import type Provider from 'oidc-provider';
import type { Client } from 'oidc-provider';
import { clockLeadSeconds, epochSeconds } from '../../clock.ts';
import type { Clock } from '../../clock.ts';
import { rejectReplayedProof } from '../requests/dpop.ts';
import { headerFault, issuedFault } from '../requests/jwt-rules.ts';
import type { Clients, Share } from '../ports.ts';
import { isFapi } from '../requests/security-profile.ts';
import type { SingleUseStore } from '../storage/single-use-store.ts';

/** How clients prove who they are. */
export const confidentialAuthMethods = [
  'client_secret_basic',
  'client_secret_post',
  'private_key_jwt',
  'tls_client_auth',
  'self_signed_tls_client_auth',
] as const;

export const clientAuthMethods = ['none', ...confidentialAuthMethods] as const;

/** RFC 7523 §3: an assertion that lives longer may be refused; every one used is remembered to its end. */
const longestAssertionSeconds = 3600;

/** How clients authenticate (RFC 6749, RFC 7523, RFC 8705). */
export function clientAuthenticationShare(clock: Clock): Share {
  return {
    clientAuthMethods: [...clientAuthMethods],
    assertJwtClientAuthClaimsAndHeader(ctx, claims, header) {
      const { client, issuer } = ctx.oidc;
      const fault =
        headerFault(header, ['client-authentication+jwt'], client) ??
        claimsFault(claims, epochSeconds(clock)) ??
        audienceFault(claims, client, issuer);
      if (fault !== undefined) throw new errors.InvalidClientAuth(fault);
    },
  };
}

type Members = Readonly<Record<string, unknown>>;

function claimsFault(claims: Members, now: number): string | undefined {
  // RFC 7519 §4.1.7; oidc-provider looks only whether it is there.
  if (typeof claims['jti'] !== 'string') return 'jti (JWT ID) is no string';
  // oidc-provider looks at `iat` only where there is no `exp`.
  const issued = issuedFault(claims, now);
  if (issued !== undefined) return issued;
  const isShortLived = Number(claims['exp']) <= now + longestAssertionSeconds + clockLeadSeconds;
  return isShortLived ? undefined : 'exp (JWT expiration) is too far ahead';
}

/** FAPI 2.0 §5.3.2.1-8: our issuer as a string; anything else could have been meant for somebody else, too. */
function audienceFault(
  { aud }: Members,
  client: Client | undefined,
  issuer: string,
): string | undefined {
  return !isFapi(client) || aud === issuer ? undefined : 'aud must be the issuer as a string';
}

/** oidc-provider keeps secrets in clear and checks replays by find-then-save; both are replaced here. */
export function overrideClientAuthentication(
  provider: Provider,
  dependencies: { clients: Clients; singleUse: SingleUseStore; mtlsOrigin: string },
): void {
  const { clients, singleUse, mtlsOrigin } = dependencies;

  provider.Client.prototype.compareClientSecret = function compareClientSecret(actual: string) {
    return clients.verifySecret(this.clientId, actual);
  };

  Object.assign(provider.ReplayDetection, {
    async unique(issuer: string, jti: string, exp: number) {
      // What is dated ahead is good for longer.
      const expiresAt = new Date((exp + clockLeadSeconds) * 1000);
      const isFirst = await singleUse.firstUse({ issuer, jti, expiresAt });
      if (!isFirst) rejectReplayedProof(jti);
      return isFirst;
    },
  });

  acceptAliasAudiences(provider, mtlsOrigin);
}

/** A client that posts to the mTLS alias names that endpoint in `aud`; it is the same endpoint. */
function acceptAliasAudiences(provider: Provider, mtlsOrigin: string): void {
  const prototype = provider.OIDCContext.prototype as {
    clientJwtAuthExpectedAudience: (this: object) => Set<string>;
  };
  const inherited = prototype.clientJwtAuthExpectedAudience;
  prototype.clientJwtAuthExpectedAudience = function withAliases(this: object) {
    const audiences = inherited.call(this);
    const paths = [...audiences]
      .filter((audience) => audience !== provider.issuer)
      .map((audience) => new URL(audience).pathname);
    const hosts = [new URL(provider.issuer).origin, mtlsOrigin];
    return new Set([...audiences, ...hosts.flatMap((host) => paths.map((path) => host + path))]);
  };
}
