import { flag, oneOf, setting } from './setting.ts';

/** How strict the protocol is. */
export const protocolSettings = {
  minimumProfile: setting({
    variable: 'COUNTERSIGN_MINIMUM_PROFILE',
    type: oneOf(['baseline', 'fapi2', 'fapi2-message-signing']),
    fallback: 'baseline',
    sentence:
      'The least security profile that clients may have (docs/profiles.md); others are refused, also those that are registered already.',
  }),
  dpopNonceRequired: setting({
    variable: 'COUNTERSIGN_DPOP_NONCE_REQUIRED',
    type: flag,
    fallback: 'false',
    sentence:
      'Refuses DPoP proofs without a nonce of ours (RFC 9449 §8); otherwise a nonce is offered, and checked where it is used.',
  }),
} as const;
