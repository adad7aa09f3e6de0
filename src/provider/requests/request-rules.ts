import { errors } from 'oidc-provider';
import type { Client, KoaContextWithOIDC } from 'oidc-provider';
import { epochSeconds } from '../../clock.ts';
import type { Clock } from '../../clock.ts';
import { headerFault, issuedFault } from './jwt-rules.ts';
import type { Share } from '../ports.ts';
import { isFapi } from './security-profile.ts';

type Members = Readonly<Record<string, unknown>>;

/** FAPI 2.0 Message Signing §5.3.1: how old a request object may be, and how long it may live. */
const longestRequestSeconds = 3600;

/** What every client must do, because the server accepts nothing less; metadata tells it (RFC 9126 §5, RFC 9101 §10.5). */
export interface RequestPolicy {
  pushedOnly: boolean;
  signedOnly: boolean;
}

/**
 * Requests that are pushed (RFC 9126) or signed (RFC 9101), and signed responses (JARM). Who must use them is in the
 * client's metadata, where its profile puts it.
 */
export function requestShare({ pushedOnly, signedOnly }: RequestPolicy, clock: Clock): Share {
  return {
    features: {
      // A request lives 60 s, which oidc-provider does not let us choose; FAPI 2.0 §5.3.2.2-12 wants less than 600.
      pushedAuthorizationRequests: {
        enabled: true,
        requirePushedAuthorizationRequests: pushedOnly,
      },
      jwtResponseModes: { enabled: true },
      requestObjects: {
        enabled: true,
        requireSignedRequestObject: signedOnly,
        assertJwtClaimsAndHeader(ctx, claims, header) {
          // Checked when it was pushed; what is kept of an unsigned request has neither type nor algorithm.
          if (isPushed(ctx)) return;
          const { client } = ctx.oidc;
          const fault =
            headerFault(header, ['oauth-authz-req+jwt'], client) ??
            issuedFault(claims, epochSeconds(clock)) ??
            claimsFault(claims, client, epochSeconds(clock));
          if (fault !== undefined) throw new errors.InvalidRequestObject(fault);
        },
      },
    },
  };
}

function isPushed({ oidc }: KoaContextWithOIDC): boolean {
  return 'PushedAuthorizationRequest' in oidc.entities;
}

/** oidc-provider has checked `iss`, `aud`, and the types of the times. */
function claimsFault(claims: Members, client: Client | undefined, now: number): string | undefined {
  const { sub, nbf, exp } = claims;
  // RFC 9101 §10.8: it would do as a client assertion as well.
  if (sub !== undefined && sub === client?.clientId) return 'sub must not be the client';
  if (!isFapi(client)) return undefined;
  if (typeof nbf !== 'number' || typeof exp !== 'number') return 'nbf and exp must be there';
  if (nbf < now - longestRequestSeconds) return 'nbf is more than 60 minutes ago';
  if (exp <= nbf || exp > nbf + longestRequestSeconds) {
    return 'exp must lie within 60 minutes after nbf';
  }
  return undefined;
}
