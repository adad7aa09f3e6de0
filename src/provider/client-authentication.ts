import { errors } from 'oidc-provider';
import type Provider from 'oidc-provider';
import { epochSeconds } from '../clock.ts';
import type { Clock } from '../clock.ts';
import type { Clients, Share } from './ports.ts';
import type { SingleUseStore } from './single-use-store.ts';

/** JWS algorithms that `baseline` clients may use; HS* would need secrets in clear. */
export const assertionAlgorithms = ['RS256', 'PS256', 'ES256', 'EdDSA'] as const;

/** How clients prove who they are. */
export const confidentialAuthMethods = [
  'client_secret_basic',
  'client_secret_post',
  'private_key_jwt',
  'tls_client_auth',
  'self_signed_tls_client_auth',
] as const;

export const clientAuthMethods = ['none', ...confidentialAuthMethods] as const;

/** How far a client's clock may be ahead: FAPI 2.0 §5.3.2.1 has us accept 10 s and refuse 60 s. */
const clockLeadSeconds = 15;

/** RFC 7523 §3: an assertion that lives longer may be refused; every one used is remembered to its end. */
const longestAssertionSeconds = 3600;

/** How clients authenticate (RFC 6749, RFC 7523, RFC 8705); `signing` are the algorithms that we have a key for. */
export function clientAuthenticationShare(clock: Clock, signing: readonly string[]): Share {
  return {
    clientAuthMethods: [...clientAuthMethods],
    enabledJWA: {
      clientAuthSigningAlgValues: [...assertionAlgorithms],
      idTokenSigningAlgValues: assertionAlgorithms.filter((algorithm) =>
        signing.includes(algorithm),
      ),
    },
    assertJwtClientAuthClaimsAndHeader(_ctx, { iat, exp, jti }) {
      // RFC 7519 §4.1.7; oidc-provider looks only whether it is there.
      if (typeof jti !== 'string') throw new errors.InvalidClientAuth('jti (JWT ID) is no string');
      const now = epochSeconds(clock);
      // oidc-provider looks at `iat` only where there is no `exp`.
      if (iat !== undefined && !(Number(iat) <= now + clockLeadSeconds)) {
        throw new errors.InvalidClientAuth('iat (JWT issued at) is in the future');
      }
      if (!(Number(exp) <= now + longestAssertionSeconds + clockLeadSeconds)) {
        throw new errors.InvalidClientAuth('exp (JWT expiration) is too far ahead');
      }
    },
  };
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
    unique: (issuer: string, jti: string, exp: number) =>
      singleUse.firstUse({ issuer, jti, expiresAt: new Date(exp * 1000) }),
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
    const aliases = [...audiences]
      .filter((audience) => audience !== provider.issuer)
      .map((audience) => audience.replace(provider.issuer, mtlsOrigin));
    return new Set([...audiences, ...aliases]);
  };
}
