import type { Share } from '../ports.ts';

/**
 * JWS algorithms in which clients may sign; HS* would need secrets in clear. RFC 9864 calls Ed25519 what is meant by EdDSA:
 * clients use either name. A FAPI 2.0 client may not use RS256 (request-rules.ts).
 */
export const clientAlgorithms = ['RS256', 'PS256', 'ES256', 'EdDSA', 'Ed25519'] as const;

/** What we may sign with, as far as there are keys for it. */
const ownAlgorithms = ['RS256', 'PS256', 'ES256', 'EdDSA'] as const;

/** JWS algorithms; `signing` are those that we have a key for. */
export function algorithmShare(signing: readonly string[]): Share {
  const own = ownAlgorithms.filter((algorithm) => signing.includes(algorithm));
  return {
    enabledJWA: {
      clientAuthSigningAlgValues: [...clientAlgorithms],
      requestObjectSigningAlgValues: [...clientAlgorithms],
      // FAPI 2.0 §5.4.1; a proof is for every profile, and new enough to need no RS256.
      dPoPSigningAlgValues: ['PS256', 'ES256', 'EdDSA', 'Ed25519'],
      idTokenSigningAlgValues: [...own],
      authorizationSigningAlgValues: [...own],
      introspectionSigningAlgValues: [...own],
    },
  };
}
