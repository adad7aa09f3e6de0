import type Provider from 'oidc-provider';
import ServerChallenge from 'oidc-provider/lib/helpers/challenge.js';
import instance from 'oidc-provider/lib/helpers/weak_cache.js';

/** The name that oidc-provider derives DPoP nonces under. */
const info = 'DPoP';

/**
 * Has nonces that were derived from older secrets accepted as long as they would have been, while new ones come from the
 * present secret: replacing it costs no client a second request. oidc-provider knows one secret.
 */
export function acceptOlderNonces(provider: Provider, olderSecrets: readonly Buffer[]): void {
  const state = instance(provider);
  const present = state.DPoPNonces;
  if (present === undefined) throw new Error('oidc-provider keeps its DPoP nonces elsewhere now');
  if (olderSecrets.length === 0) return;
  const all = [present, ...olderSecrets.map((secret) => new ServerChallenge(secret, info))];
  state.DPoPNonces = {
    nextChallenge: () => present.nextChallenge(),
    checkChallenge: (challenge) => all.some((one) => one.checkChallenge(challenge)),
  };
}
