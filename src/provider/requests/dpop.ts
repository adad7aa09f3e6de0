import { decodeJwt } from 'jose';
import type { JWTPayload } from 'jose';
import Provider, { errors } from 'oidc-provider';
import { epochSeconds } from '../../clock.ts';
import type { Clock } from '../../clock.ts';
import type { RequestContext } from '../../observability/request-context.ts';
import { issuedFault } from './jwt-rules.ts';
import type { Share } from '../ports.ts';

/** Settings of DPoP. */
export interface DpopPolicy {
  /** 32 bytes, the same on all processes: nonces are derived from it and the time. */
  nonceSecret: Buffer;
  /** Secrets whose nonces are recognised still. */
  olderNonceSecrets: readonly Buffer[];
  /** Whether a proof without a nonce of ours is refused. */
  nonceRequired: boolean;
}

/** Tokens that are bound to a key of the client by proofs in the DPoP header (RFC 9449). */
export function dpopShare(
  { nonceSecret, nonceRequired }: Pick<DpopPolicy, 'nonceSecret' | 'nonceRequired'>,
  clock: Clock,
): Share {
  return {
    features: {
      dPoP: {
        enabled: true,
        nonceSecret,
        allowReplay: false,
        // Asked before a proof is looked at: oidc-provider checks `iat` only without a nonce, and lets it be 5 minutes ahead.
        requireNonce(ctx) {
          const fault = issuedFault(claimsOf(ctx.get('DPoP')), epochSeconds(clock));
          if (fault !== undefined) throw new errors.InvalidDpopProof(`DPoP proof ${fault}`);
          return nonceRequired;
        },
      },
    },
  };
}

/**
 * Has a proof name the host that was called (RFC 9449 §4.3-9): oidc-provider asks for the address by Host, in which the
 * public one is put before it sees a request. Other addresses stay the issuer's.
 */
export function expectCalledHost(
  provider: Provider,
  called: { mtlsOrigin: string; currentRequest: () => RequestContext | undefined },
): void {
  const prototype = provider.OIDCContext.prototype as unknown as {
    urlFor: (this: { route: string }, name: string, options?: object) => string;
  };
  const inherited = prototype.urlFor;
  prototype.urlFor = function urlOfCalledHost(name, options) {
    const url = inherited.call(this, name, options);
    const isOwn = name === this.route && called.currentRequest()?.listener === 'mtls';
    return isOwn ? called.mtlsOrigin + new URL(url).pathname : url;
  };
}

/** What a replayed proof is answered; oidc-provider would call it an invalid grant (RFC 9449 §5). */
export const proofReplayed = 'DPoP proof was already used';

/** Refuses the running request if `jti` is that of its proof. */
export function rejectReplayedProof(jti: string): void {
  const proof = Provider.ctx?.get('DPoP');
  if (proof !== undefined && claimsOf(proof).jti === jti) {
    throw new errors.InvalidDpopProof(proofReplayed);
  }
}

/** What a proof says, unverified: good for refusing it only. */
function claimsOf(proof: string): JWTPayload {
  try {
    return decodeJwt(proof);
  } catch {
    return {}; // oidc-provider says what is wrong with it
  }
}
