import type { Clock } from '../../clock.ts';
import { epochSeconds } from '../../clock.ts';
import type { Lifetimes, Share } from '../ports.ts';
import { mayRotate, storesRefreshToken } from './refresh-retries.ts';
import type { RetryDecision } from './refresh-retries.ts';
import { rejectUnfitRefresh } from '../requests/resources.ts';
import type { ResourceDependencies } from '../requests/resources.ts';

/** How long everything lives, in seconds. */
export function lifetimeShare(
  lifetimes: Lifetimes,
  clock: Clock,
  refreshes: RetryDecision & ResourceDependencies,
): Share {
  return {
    ttl: {
      AuthorizationCode: lifetimes.authorizationCode,
      AccessToken: (_ctx, token) => token.resourceServer?.accessTokenTTL ?? lifetimes.accessToken,
      ClientCredentials: (_ctx, token) =>
        token.resourceServer?.accessTokenTTL ?? lifetimes.accessToken,
      IdToken: lifetimes.accessToken,
      Grant: lifetimes.refreshToken,
      Interaction: lifetimes.interaction,
      // Absolute, from the login on (ASVS 7.3.2): oidc-provider saves a session anew with every authorization.
      Session: (_ctx, { loginTs }) =>
        loginTs === undefined
          ? lifetimes.session
          : Math.max(1, loginTs + lifetimes.session - epochSeconds(clock)),
      // Absolute: neither rotation nor a second authorization on the same grant extends it (ASVS 10.4.8).
      RefreshToken: (ctx) => {
        const rotated = ctx.oidc.entities.RotatedRefreshToken?.remainingTTL;
        const grantEnd = ctx.oidc.entities.Grant?.exp;
        const ends = [lifetimes.refreshToken];
        if (rotated !== undefined) ends.push(rotated);
        if (grantEnd !== undefined) ends.push(grantEnd - epochSeconds(clock));
        return Math.max(1, Math.min(...ends));
      },
    },
    // A consent outlives the browser session: logging out ends the session, revoking ends the grant.
    expiresWithSession: () => false,
    issueRefreshToken: (ctx) => storesRefreshToken(ctx, 'AuthorizationCode'),
    // RFC 9700 §4.14: rotate for clients that prove nothing; FAPI 2 §5.3.2.1: not for those that do.
    async rotateRefreshToken(ctx) {
      const isFree = await mayRotate(ctx, refreshes);
      await rejectUnfitRefresh(ctx, refreshes);
      return isFree && ctx.oidc.client?.clientAuthMethod === 'none';
    },
  };
}
